package udp

import (
	"errors"
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// sends is a route whose flows leave from prefixes.
func sends(origin netip.AddrPort, prefixes ...string) *config.Route {
	r := to(origin)
	for _, p := range prefixes {
		r.EgressPrefixes = append(r.EgressPrefixes, netip.MustParsePrefix(p))
	}
	return r
}

func TestEgressSources(t *testing.T) {
	r := route.NewLive(1)
	from := sends(originAddr, "2001:db8:e::/48", "10.1.0.8/30", "10.2.0.1/32")
	r.Swap(routes{dst1: from}, []*config.Route{from})
	e := egress{raw: datagram.TakeRaw(7, -1), flows: map[flow.Key]*liveFlow{}}
	seen := map[netip.Addr]bool{}
	for range 1000 {
		f := &liveFlow{Key: flow.KeyOf(client1, dst1), Route: r.Set().Routes[0]}
		if err := e.assign(f, originAddr); err != nil {
			t.Fatal(err)
		}
		addr := f.Sockets.egress.addr()
		if addr.Port() < 1024 || !from.EgressPrefixes[1].Contains(addr.Addr()) && !from.EgressPrefixes[2].Contains(addr.Addr()) {
			t.Fatalf("leaves from %v", addr)
		}
		if f.Sockets.fd != 7 || e.flows[flow.KeyOf(originAddr, addr)] != f {
			t.Fatalf("what comes back to %v does not find its flow", addr)
		}
		seen[addr.Addr()] = true
	}
	if len(seen) != 5 || len(e.flows) != 1000 {
		t.Errorf("%d flows leave from %v, want 1000 and all five addresses", len(e.flows), seen)
	}
	for _, f := range e.flows {
		e.remove(f.Sockets.egress)
	}
	if len(e.flows) != 0 {
		t.Errorf("%d sources are left", len(e.flows))
	}
}

// TestNoEgressSource: where all ports towards an origin are taken, there is an error that the
// table knows; towards another, the same ports are free.
func TestNoEgressSource(t *testing.T) {
	from := sends(originAddr, "10.1.0.8/32")
	l := live(from, dst1)
	e := egress{raw: datagram.TakeRaw(7, -1), flows: map[flow.Key]*liveFlow{}}
	for port := 1024; port <= 65535; port++ {
		e.flows[flow.KeyOf(originAddr, netip.AddrPortFrom(from.EgressPrefixes[0].Addr(), uint16(port)))] = &liveFlow{}
	}
	f := &liveFlow{Key: flow.KeyOf(client1, dst1), Route: l.Set().Routes[0]}
	if err := e.assign(f, originAddr); !errors.Is(err, call.ErrNoPort) {
		t.Errorf("got %v", err)
	}
	if err := e.assign(f, backupAddr); err != nil {
		t.Errorf("to another origin: %v", err)
	}
	if err := e.assign(f, netip.MustParseAddrPort("[2001:db8:5::5]:1")); err == nil {
		t.Error("an IPv6 origin was found by way of an IPv4 prefix")
	}
	e.raw = datagram.TakeRaw(-1, -1)
	if err := e.assign(f, backupAddr); err == nil || errors.Is(err, call.ErrNoPort) {
		t.Errorf("without a raw socket: %v", err)
	}
}

// TestEgressMoves: a flow leaves from the same source when another process goes on with it, and a
// source that is in use there is an error.
func TestEgressMoves(t *testing.T) {
	l := live(sends(originAddr, "10.1.0.8/32"), dst1)
	old, next := newTestTable(10, l), newTestTable(10, l)
	f := old.datagram(flow.KeyOf(client1, dst1), 1, 1)
	from := netip.MustParseAddrPort("10.1.0.8:2000")
	f.Sockets.egress = newEgressSource(from, originAddr) // as openSocket would
	flows := travel(t, (&loop{flows: old.flowTable}).movingFlows(0))
	check(t, flows[0].Check(1))
	adopter := &loop{flows: next.flowTable, replies: next.replies, egress: egress{datagram.TakeRaw(7, -1), map[flow.Key]*liveFlow{}}}
	if flows[0].Egress != from || !adopter.adopt(flows[0], 1) {
		t.Fatalf("%+v is not adopted, or leaves from another address than %v", flows[0], from)
	}
	adopted := next.Find(flow.KeyOf(client1, dst1))
	if got := adopter.egress.flows[flow.KeyOf(originAddr, from)]; got != adopted || got.Sockets.fd != 7 {
		t.Errorf("what comes back finds %+v", got)
	}
	if err := adopter.egress.register(adopted); !errors.Is(err, errSourceInUse) {
		t.Errorf("once more: %v", err)
	}
	flows[0].Egress = netip.MustParseAddrPort("[2001:db8::1]:2000")
	if flows[0].Check(1) == nil {
		t.Error("a flow to IPv4 may leave from IPv6")
	}
}

func TestAddrIn(t *testing.T) {
	for _, text := range []string{"10.1.2.3/32", "10.1.2.0/23", "10.0.0.0/8", "2001:db8::/33", "2001:db8::1/128", "2001:db8::/64"} {
		p := netip.MustParsePrefix(text)
		seen := map[netip.Addr]bool{}
		for range 100 {
			a := addrIn(p)
			if !p.Contains(a) {
				t.Fatalf("%v is not in %v", a, p)
			}
			seen[a] = true
		}
		if single := len(seen) == 1; single != p.IsSingleIP() {
			t.Errorf("%v: %d addresses", p, len(seen))
		}
	}
}
