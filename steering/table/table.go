package table

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"anyport/config"
)

// Verdict is what becomes of the first packet of a conn or flow. Users read these words: in
// explain, status and metrics.
//
// Three other types look alike and say something else. config.Action is what a file can ask
// for, which is never deny or limit, and has no words of its own. bpf.SteerVerdict is the
// kernel's number for a Verdict: bpfmaps.VerdictOf converts it, and nothing else does.
// route.Verdict is what the proxy says about a conn that the kernel has already steered.
type Verdict string

// The verdicts.
const (
	Steer    Verdict = "steer"    // to our socket
	Refuse   Verdict = "refuse"   // RST or ICMP port unreachable: the port looks closed
	Drop     Verdict = "drop"     // silence
	Pass     Verdict = "pass"     // to the host's own listeners
	Deny     Verdict = "deny"     // the route does not admit this client
	Inactive Verdict = "inactive" // the route is not in force at this time: see active
	Socket   Verdict = "socket"   // to the socket of a service of this host
	Limit    Verdict = "limit"    // over new_conns_per_second, which is refused, or datagrams_per_second, which is dropped; only the kernel knows
)

// Table is the routes of one config, compiled. It never changes, so any number of
// goroutines may read it.
type Table struct {
	prefixes   *bart.Table[Policy] // all that routes serve, and egress prefixes
	intervals  []Interval          // every segment of every policy, end to end
	bindings   []Binding           // [0] is what no route takes; [i] is the i-th route of the file; then the egress prefixes
	routeCount int                 // of the file
	knocks     [][]uint32          // bindings with sequences: see Policy.Knocks, which counts from 1
	retired    *bart.Table[Policy] // prefixes of an earlier table, which keep their addresses local for a while: see retired.go
}

// Empty returns a table that serves nothing.
func Empty() *Table {
	return &Table{prefixes: new(bart.Table[Policy]), retired: new(bart.Table[Policy])}
}

// Policy is the effective port maps of a prefix: its own rules laid over those of
// the prefixes that cover it.
type Policy struct {
	TCP, UDP Segment
	Knocks   uint32 // the sequences that count here, of [Table.KnockSteps]; 0: none
}

// Segment is a run of Table.intervals: sorted, the first at port 0, so that
// together they cover 0-65535.
type Segment struct{ Offset, Count uint32 }

// Interval binds the ports from lo up to the next interval of its segment.
type Interval struct {
	First   uint16
	Binding uint32 // index into Table.bindings
}

// Binding is what happens to the ports bound to it.
type Binding struct {
	Route *config.Route // nil: no route takes the port; with Steer it is of an egress prefix
	Rules
	Clients *config.Clients // nil admits everyone
}

// Decision is the verdict for one client and one dst, and whose it is.
type Decision struct {
	Verdict Verdict
	Route   *config.Route    // nil: no route takes dst
	Prefix  netip.Prefix     // of the route; of the table when Route is nil; zero when no prefix holds dst
	Ports   config.PortRange // as the route has it in the file; zero when Route is nil
}

// Lookup returns the route that forwards dst, or nil when nothing does. A route to a service
// with origins forwards while the service is away.
// It does not look at the client: see Decide.
func (t *Table) Lookup(protocol config.Protocol, dst netip.AddrPort) *config.Route {
	b := t.find(protocol, dst)
	if b != nil && (b.Verdict == Steer || b.Verdict == Socket && b.Away == Steer) {
		return b.Route
	}
	return nil
}

// Passes reports whether the kernel hands packets for dst to the host's own sockets. That is not so in
// retired prefixes of a table in service: see [Table.WithRetired].
func (t *Table) Passes(protocol config.Protocol, dst netip.AddrPort) bool {
	b := t.find(protocol, dst)
	return b == nil || b.Verdict == Pass
}

// Decide returns what becomes of the first packet from client to dst at a time when the route is in
// force. An invalid client stands for one that every route admits.
func (t *Table) Decide(protocol config.Protocol, dst netip.AddrPort, client netip.Addr) Decision {
	b := t.find(protocol, dst)
	d := b.decide(client)
	switch {
	case b == nil:
	case b.Route == nil:
		d.Prefix = t.served(dst.Addr())
	default:
		d.Prefix = longestCovering(b.Route, dst.Addr().Unmap())
		d.Ports, _ = narrowest(b.Route.Ports, dst.Port())
	}
	return d
}

// Judge is Decide without the prefix and the ports, which are searched among all that the route has. served is
// whether a prefix holds dst.
func (t *Table) Judge(protocol config.Protocol, dst netip.AddrPort, client netip.Addr) (d Decision, served bool) {
	b := t.find(protocol, dst)
	return b.decide(client), b != nil
}

// decide is the verdict for a client; b is nil where no prefix holds the dst.
func (b *Binding) decide(client netip.Addr) Decision {
	if b == nil {
		return Decision{Verdict: Pass}
	}
	d := Decision{Verdict: b.Verdict, Route: b.Route}
	if b.Route != nil && client.IsValid() && !b.Clients.Admits(client) {
		d.Verdict = Deny
	}
	return d
}

// Prefixes is the number of distinct prefixes served.
func (t *Table) Prefixes() int { return t.prefixes.Size() }

// find returns the binding of dst, nil where no prefix holds it.
func (t *Table) find(protocol config.Protocol, dst netip.AddrPort) *Binding {
	p, ok := t.prefixes.Lookup(dst.Addr().Unmap())
	if !ok {
		p, ok = t.retired.Lookup(dst.Addr().Unmap())
	}
	if !ok {
		return nil
	}
	switch protocol {
	case config.TCP:
		return t.bound(p.TCP, dst.Port())
	case config.UDP:
		return t.bound(p.UDP, dst.Port())
	}
	return nil
}

// bound returns the binding of port in s; where that has none, it refuses.
func (t *Table) bound(s Segment, port uint16) *Binding {
	if s.Count == 0 {
		return &Binding{Rules: Rules{Verdict: Refuse}}
	}
	return &t.bindings[at(t.intervals[s.Offset:s.Offset+s.Count], port)]
}

// at returns the binding of the last interval that begins at or before port.
func at(intervals []Interval, port uint16) uint32 {
	i, found := slices.BinarySearchFunc(intervals, port, func(v Interval, p uint16) int {
		return int(v.First) - int(p)
	})
	if !found {
		i--
	}
	return intervals[i].Binding
}

// served returns the longest prefix of the table that holds addr.
func (t *Table) served(addr netip.Addr) netip.Prefix {
	host := addr.Unmap()
	prefix, _, _ := t.prefixes.LookupPrefixLPM(netip.PrefixFrom(host, host.BitLen()))
	return prefix
}

// MayDrop reports whether any packet may have to be dropped in silence.
func (t *Table) MayDrop() bool {
	return slices.ContainsFunc(t.bindings, func(b Binding) bool { return b.mayDrop() })
}

// longestCovering returns the longest prefix of route that holds addr, or the zero prefix.
func longestCovering(route *config.Route, addr netip.Addr) netip.Prefix {
	var longest netip.Prefix
	for _, p := range route.Prefixes {
		if p.Contains(addr) && (!longest.IsValid() || p.Bits() > longest.Bits()) {
			longest = p
		}
	}
	return longest
}

// narrowest returns the narrowest of ranges that holds port.
func narrowest(ranges []config.PortRange, port uint16) (best config.PortRange, ok bool) {
	for _, r := range ranges {
		if r.Contains(port) && (!ok || r.Width() < best.Width()) {
			best, ok = r, true
		}
	}
	return best, ok
}

// Outermost returns the prefixes of table that need a route: not those inside
// another prefix of the table, nor those that others keep local already.
func (t *Table) Outermost(others *bart.Lite) *bart.Lite {
	all := new(bart.Lite)
	for prefix := range t.prefixes.AllSorted() { // each after those that cover it
		if !all.LookupPrefix(prefix) && !others.LookupPrefix(prefix) {
			all.Insert(prefix)
		}
	}
	return all
}

// BindingName names the route of a binding.
func (t *Table) BindingName(i uint32) string {
	if int(i) >= len(t.bindings) {
		return "no route"
	}
	if r := t.bindings[i].Route; r != nil {
		return fmt.Sprintf("route %q", r.Name)
	}
	return "what no route takes"
}

// Routes returns the routes of the file, in its order.
func (t *Table) Routes() []*config.Route {
	all := make([]*config.Route, t.routeCount)
	for i := range all {
		all[i] = t.bindings[1+i].Route
	}
	return all
}

// SortedPrefixes yields the prefixes of the routes, each after those that cover it.
func (t *Table) SortedPrefixes() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for p := range t.prefixes.AllSorted() {
			if !yield(p) {
				return
			}
		}
	}
}

// Serves reports whether p itself is a prefix of a route.
func (t *Table) Serves(p netip.Prefix) bool { _, ok := t.prefixes.Get(p); return ok }

// Overlaps reports whether a prefix of a route has addresses in common with p.
func (t *Table) Overlaps(p netip.Prefix) bool { return t.prefixes.OverlapsPrefix(p) }

// Sizes is the number of prefixes of each family.
func (t *Table) Sizes() (v4, v6 int) { return t.prefixes.Size4(), t.prefixes.Size6() }

// AllV4 yields the IPv4 prefixes of the routes, and the retired ones.
func (t *Table) AllV4() iter.Seq2[netip.Prefix, Policy] {
	return both(t.prefixes.All4(), t.retired.All4())
}

// AllV6 does so for IPv6.
func (t *Table) AllV6() iter.Seq2[netip.Prefix, Policy] {
	return both(t.prefixes.All6(), t.retired.All6())
}

// both yields the prefixes in service, and the retired ones.
func both(all, gone iter.Seq2[netip.Prefix, Policy]) iter.Seq2[netip.Prefix, Policy] {
	return func(yield func(netip.Prefix, Policy) bool) {
		for p, v := range all {
			if !yield(p, v) {
				return
			}
		}
		gone(yield)
	}
}

// Bindings returns what the indices in [Interval] refer to. They are not to be changed.
func (t *Table) Bindings() []Binding { return t.bindings }

// Intervals returns the segments of all policies, end to end. They are not to be changed.
func (t *Table) Intervals() []Interval { return t.intervals }
