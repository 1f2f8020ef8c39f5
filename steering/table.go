// Package steering decides which packets the kernel hands to our sockets.
//
// One half is pure: [Compile] turns the routes of a config into a [Table], which
// answers Lookup, Decide and Explain. The other half, [Open], copies the very same
// Table into BPF maps, where the sk_lookup program of package bpf reads it. Both
// readers do one longest-prefix match and one binary search over the same intervals.
package steering

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"anyport/config"

	"github.com/gaissmai/bart"
)

// Verdict is what becomes of the first packet of a conn or flow.
type Verdict string

// The verdicts.
const (
	Steer  Verdict = "steer"  // to our socket
	Refuse Verdict = "refuse" // RST or ICMP port unreachable: the port looks closed
	Drop   Verdict = "drop"   // silence
	Pass   Verdict = "pass"   // to the host's own listeners
	Deny   Verdict = "deny"   // the route does not admit this client
	Limit  Verdict = "limit"  // over new_conns_per_second, which is refused, or datagrams_per_second, which is dropped; the kernel alone can say
)

// Table is the routes of one config, compiled. It never changes, so any number of
// goroutines may read it.
type Table struct {
	prefixes  *bart.Table[policy]
	intervals []interval          // every segment of every policy, end to end
	bindings  []binding           // [0] is what no route takes; [i] is the i-th route of the file; then the egress prefixes
	routes    int                 // of the file
	gone      *bart.Table[policy] // prefixes of an earlier table, around those above: see linger.go
}

func newTable() *Table {
	return &Table{prefixes: new(bart.Table[policy]), gone: new(bart.Table[policy])}
}

// policy is the effective port maps of a prefix: its own rules laid over those of
// the prefixes that cover it.
type policy struct{ tcp, udp segment }

// segment is a run of Table.intervals: sorted, the first at port 0, so that
// together they cover 0-65535.
type segment struct{ offset, count uint32 }

// interval binds the ports from lo up to the next interval of its segment.
type interval struct {
	lo      uint16
	binding uint32 // index into Table.bindings
}

// binding is what happens to the ports bound to it.
type binding struct {
	route *config.Route // nil: no route takes the port; with Steer it is of an egress prefix
	terms
	sources *config.Clients // nil admits everyone
}

// Decision is the verdict for one client and one dst, and whose it is.
type Decision struct {
	Verdict Verdict
	Route   *config.Route    // nil: no route takes dst
	Prefix  netip.Prefix     // of the route; of the table when Route is nil; zero when no prefix holds dst
	Ports   config.PortRange // as the route has it in the file; zero when Route is nil
}

// Lookup returns the route that forwards dst, or nil when nothing does.
// It does not look at the client: see Decide.
func (t *Table) Lookup(protocol config.Protocol, dst netip.AddrPort) *config.Route {
	if b := t.find(protocol, dst); b != nil && b.verdict == Steer {
		return b.route
	}
	return nil
}

// Passes reports whether the kernel hands packets for dst to the host's own sockets. Of a
// table in service (see [Steering.Table]) that is not so in prefixes that linger.
func (t *Table) Passes(protocol config.Protocol, dst netip.AddrPort) bool {
	b := t.find(protocol, dst)
	return b == nil || b.verdict == Pass
}

// Decide returns what becomes of the first packet from client to dst. An invalid
// client stands for one that every route admits.
func (t *Table) Decide(protocol config.Protocol, dst netip.AddrPort, client netip.Addr) Decision {
	b := t.find(protocol, dst)
	switch {
	case b == nil:
		return Decision{Verdict: Pass}
	case b.route == nil:
		return Decision{Verdict: b.verdict, Prefix: t.served(dst.Addr())}
	}
	d := Decision{Verdict: b.verdict, Route: b.route, Prefix: covering(b.route, dst.Addr().Unmap())}
	d.Ports, _ = narrowest(b.route.Ports, dst.Port())
	if client.IsValid() && !b.sources.Admits(client) {
		d.Verdict = Deny
	}
	return d
}

// Prefixes is the number of distinct prefixes served.
func (t *Table) Prefixes() int { return t.prefixes.Size() }

// find returns the binding of dst, nil where no prefix holds it.
func (t *Table) find(protocol config.Protocol, dst netip.AddrPort) *binding {
	p, ok := t.prefixes.Lookup(dst.Addr().Unmap())
	if !ok {
		p, ok = t.gone.Lookup(dst.Addr().Unmap())
	}
	if !ok {
		return nil
	}
	switch protocol {
	case config.TCP:
		return t.bound(p.tcp, dst.Port())
	case config.UDP:
		return t.bound(p.udp, dst.Port())
	}
	return nil
}

// bound returns the binding of port in s; where that has none, it refuses.
func (t *Table) bound(s segment, port uint16) *binding {
	if s.count == 0 {
		return &binding{terms: terms{verdict: Refuse}}
	}
	return &t.bindings[at(t.intervals[s.offset:s.offset+s.count], port)]
}

// at returns the binding of the last interval that begins at or before port.
func at(intervals []interval, port uint16) uint32 {
	i, found := slices.BinarySearchFunc(intervals, port, func(v interval, p uint16) int {
		return int(v.lo) - int(p)
	})
	if !found {
		i--
	}
	return intervals[i].binding
}

// served returns the longest prefix of the table that holds addr.
func (t *Table) served(addr netip.Addr) netip.Prefix {
	host := addr.Unmap()
	prefix, _, _ := t.prefixes.LookupPrefixLPM(netip.PrefixFrom(host, host.BitLen()))
	return prefix
}

// drops reports whether any packet may have to be dropped in silence.
func (t *Table) drops() bool {
	return slices.ContainsFunc(t.bindings, func(b binding) bool { return b.drops() })
}

// covering returns the longest prefix of route that holds addr, or the zero prefix.
func covering(route *config.Route, addr netip.Addr) netip.Prefix {
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

// outermost returns the prefixes of table that need a route: not those inside
// another prefix of the table, nor those that others keep local already.
func (t *Table) outermost(others *bart.Lite) *bart.Lite {
	all := new(bart.Lite)
	for prefix := range t.prefixes.AllSorted() { // each after those that cover it
		if !all.LookupPrefix(prefix) && !others.LookupPrefix(prefix) {
			all.Insert(prefix)
		}
	}
	return all
}

// owner names the route of a binding.
func (t *Table) owner(i uint32) string {
	if int(i) >= len(t.bindings) {
		return "no route"
	}
	if r := t.bindings[i].route; r != nil {
		return fmt.Sprintf("route %q", r.Name)
	}
	return "what no route takes"
}

// list returns the routes of the file, in its order.
func (t *Table) list() []*config.Route {
	all := make([]*config.Route, t.routes)
	for i := range all {
		all[i] = t.bindings[1+i].route
	}
	return all
}

// sorted yields the prefixes of the routes, each after those that cover it.
func (t *Table) sorted() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for p := range t.prefixes.AllSorted() {
			if !yield(p) {
				return
			}
		}
	}
}

// serves reports whether p itself is a prefix of a route.
func (t *Table) serves(p netip.Prefix) bool { _, ok := t.prefixes.Get(p); return ok }

// overlaps reports whether a prefix of a route has addresses in common with p.
func (t *Table) overlaps(p netip.Prefix) bool { return t.prefixes.OverlapsPrefix(p) }

// sizes is the number of prefixes of each family.
func (t *Table) sizes() (v4, v6 int) { return t.prefixes.Size4(), t.prefixes.Size6() }

// all4 yields the IPv4 prefixes of the routes, and those that are gone.
func (t *Table) all4() iter.Seq2[netip.Prefix, policy] { return both(t.prefixes.All4(), t.gone.All4()) }

// all6 does so for IPv6.
func (t *Table) all6() iter.Seq2[netip.Prefix, policy] { return both(t.prefixes.All6(), t.gone.All6()) }

// both yields the prefixes in service, and those that are gone.
func both(all, gone iter.Seq2[netip.Prefix, policy]) iter.Seq2[netip.Prefix, policy] {
	return func(yield func(netip.Prefix, policy) bool) {
		for p, v := range all {
			if !yield(p, v) {
				return
			}
		}
		gone(yield)
	}
}
