package accesslog

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"anyport/config"
	"anyport/proxy/client"
	"anyport/proxy/route"
)

// sumPause is how long refused conns and flows are summed before there is a line of them.
const sumPause = time.Second

// sums counts what was refused, until it is written. There are as many sums at most as the
// routes of the file have protocols and verdicts.
type sums struct {
	mu   sync.Mutex
	held map[sumKey]*sum
}

// sumKey is what the conns and flows of one sum have in common.
type sumKey struct {
	route    string
	protocol config.Protocol
	verdict  route.Verdict
}

// sum is one line of the access log: conns or flows that were refused alike.
type sum struct {
	sumKey
	last    time.Time // of the last of them
	count   uint64
	clients map[netip.Addr]bool
	client  netip.Addr // of the first, as dst
	dst     netip.AddrPort
}

// clientsMost bounds the clients that a sum tells apart. A sum of more clients says clientsMost.
const clientsMost = 64

// add counts r, and reports whether it is the first since the sums were taken.
func (s *sums) add(r *route.Record) (first bool) {
	who := client.Of(r.Client.Addr())
	k := sumKey{r.Route, r.Protocol, r.Verdict}
	s.mu.Lock()
	defer s.mu.Unlock()
	first = len(s.held) == 0
	if s.held == nil {
		s.held = map[sumKey]*sum{}
	}
	of := s.held[k]
	if of == nil {
		of = &sum{sumKey: k, clients: map[netip.Addr]bool{}, client: who, dst: r.Dst}
		s.held[k] = of
	}
	of.count++
	of.last = r.Begun.Add(r.Took)
	if len(of.clients) < clientsMost {
		of.clients[who] = true
	}
	return first
}

// take returns the sums, sorted, and begins new ones.
func (s *sums) take() []*sum {
	s.mu.Lock()
	held := s.held
	s.held = nil
	s.mu.Unlock()
	var all []*sum
	for _, of := range held {
		all = append(all, of)
	}
	slices.SortFunc(all, func(a, b *sum) int {
		return cmp.Or(cmp.Compare(a.route, b.route), cmp.Compare(a.protocol, b.protocol), cmp.Compare(a.verdict, b.verdict))
	})
	return all
}

// entry is the line of the sum.
func (s *sum) entry() entry {
	r := &route.Record{Begun: s.last, Protocol: s.protocol, Route: s.route, Dst: s.dst, Verdict: s.verdict}
	return entry{Record: r, kind: refusedLine, ending: r.Ending(), sum: s}
}

// clientText writes a client: an IPv4 address, or an IPv6 /64.
func clientText(who netip.Addr) string {
	if who.Is4() {
		return who.String()
	}
	return fmt.Sprintf("%s/64", who)
}
