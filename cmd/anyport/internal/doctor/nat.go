package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"anyport/config"
)

// NAT is a rule of a packet filter that changes the dst of packets before the steering sees them.
type NAT struct {
	Text  string
	To    string // what it makes of dst, in the words of the packet filter
	Chain string // "table chain" that it stands in
	Start string // "table chain" from which packets get there
	Spare string // the command that keeps the packets for a prefix from it: see spareFor

	match match
	cut   []match // what rules before it accept: it does not see those packets
}

// match is which packets a rule takes, as far as anyport can tell. It is a product of sets: a packet
// matches if each part does.
type match struct {
	family    string             // "ip" or "ip6"; "": both
	dst       []netip.Prefix     // none: any
	except    []netip.Prefix     // not these
	protocols []string           // none: any
	ports     []config.PortRange // none: any
}

// and is what both take; false if that is nothing.
func (m match) and(n match) (both match, any bool) {
	if m.family != "" && n.family != "" && m.family != n.family {
		return both, false
	}
	both = match{family: cmp.Or(m.family, n.family), except: slices.Concat(m.except, n.except)}
	var dst, protocols, ports bool
	both.dst, dst = common(m.dst, n.dst, narrower)
	both.protocols, protocols = common(m.protocols, n.protocols, func(a, b string) (string, bool) { return a, a == b })
	both.ports, ports = common(m.ports, n.ports, overlap)
	return both, dst && protocols && ports
}

// common returns what the members of two lists have in common, where an empty list stands for everything. So an
// empty result would be ambiguous: any is false if nothing is common.
func common[T any](a, b []T, meet func(T, T) (T, bool)) (all []T, any bool) {
	if len(a) == 0 || len(b) == 0 {
		return slices.Concat(a, b), true
	}
	for _, x := range a {
		for _, y := range b {
			if z, ok := meet(x, y); ok {
				all = append(all, z)
			}
		}
	}
	return all, len(all) > 0
}

// narrower is the meeting of two prefixes: the longer one, if they overlap.
func narrower(p, q netip.Prefix) (netip.Prefix, bool) {
	if p.Bits() < q.Bits() {
		p, q = q, p
	}
	return p, p.Overlaps(q)
}

// overlap is the meeting of two ranges of ports.
func overlap(a, b config.PortRange) (config.PortRange, bool) {
	c := config.PortRange{First: max(a.First, b.First), Last: min(a.Last, b.Last)}
	return c, c.First <= c.Last
}

// excepts reports whether m takes nothing of dst.
func (m match) excepts(dst netip.Prefix) bool {
	return slices.ContainsFunc(m.except, func(e netip.Prefix) bool { return e.Bits() <= dst.Bits() && e.Overlaps(dst) })
}

// covers reports whether m takes all of n, which has one dst, one protocol and one range of ports.
func (m match) covers(n match) bool {
	dst, ports := n.dst[0], n.ports[0]
	return m.ofFamily(dst) && !slices.ContainsFunc(m.except, dst.Overlaps) &&
		(len(m.dst) == 0 || slices.ContainsFunc(m.dst, func(p netip.Prefix) bool { return p.Bits() <= dst.Bits() && p.Overlaps(dst) })) &&
		(len(m.protocols) == 0 || slices.Contains(m.protocols, n.protocols[0])) &&
		(len(m.ports) == 0 || slices.ContainsFunc(m.ports, func(r config.PortRange) bool { return r.First <= ports.First && ports.Last <= r.Last }))
}

// ofFamily reports whether m can match packets to p.
func (m match) ofFamily(p netip.Prefix) bool {
	return m.family == "" || (m.family == "ip") == p.Addr().Is4()
}

// takes returns what the rule takes of a prefix, a protocol and a range of ports. It errs towards reporting: a
// rule before it spares a part only if it surely covers that part (match.covers, chainRule.tight).
func (n NAT) takes(p netip.Prefix, protocol config.Protocol, ports config.PortRange) (taken match, any bool) {
	if !n.match.ofFamily(p) {
		return taken, false
	}
	all, any := n.match.and(match{dst: []netip.Prefix{p}, protocols: []string{protocol.String()}, ports: []config.PortRange{ports}})
	if !any {
		return taken, false
	}
	for _, dst := range all.dst {
		for _, r := range all.ports {
			taken = match{dst: []netip.Prefix{dst}, protocols: all.protocols, ports: []config.PortRange{r}}
			if !all.excepts(dst) && !slices.ContainsFunc(n.cut, func(c match) bool { return c.covers(taken) }) {
				return taken, true
			}
		}
	}
	return taken, false
}

// ofRoute returns the prefixes of a route that the rule takes ports of, and the first of these
// ports.
func (n NAT) ofRoute(r *config.Route) (prefixes []netip.Prefix, first string) {
	for _, p := range r.Prefixes {
		if taken, any := n.ofPrefix(r, p); any {
			prefixes = append(prefixes, p)
			if first == "" {
				first = fmt.Sprintf("%s %v", taken.protocols[0], taken.ports[0])
			}
		}
	}
	return prefixes, first
}

// ofPrefix returns the first ports of a route and prefix that the rule takes.
func (n NAT) ofPrefix(r *config.Route, p netip.Prefix) (taken match, any bool) {
	for _, protocol := range r.Protocols {
		for _, ports := range r.Ports {
			if taken, any = n.takes(p, protocol, ports); any {
				return taken, true
			}
		}
	}
	return taken, false
}

// ofConfig returns the prefixes of all routes that the rule takes ports of. A route that passes its
// ports to the host does not mind who takes them there.
func (n NAT) ofConfig(c *config.Config) (prefixes []netip.Prefix, first string) {
	for _, r := range c.Routes {
		if r.Action == config.Pass {
			n.cut = append(slices.Clip(n.cut), passed(r))
		}
	}
	for _, r := range c.Routes {
		if r.Action == config.Pass {
			continue
		}
		some, ports := n.ofRoute(r)
		prefixes = append(prefixes, some...)
		if first == "" {
			first = ports
		}
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return slices.Compact(prefixes), first
}

// passed is what a route takes.
func passed(r *config.Route) match {
	m := match{dst: r.Prefixes, ports: r.Ports}
	for _, p := range r.Protocols {
		m.protocols = append(m.protocols, p.String())
	}
	return m
}

// checkNAT finds the rules that send packets for served addresses elsewhere.
func checkNAT(f *Facts) []Finding {
	if len(f.Tools) == 0 {
		return warn("apt-get install nftables", "a DNAT rule for a served address would win over the steering",
			"not examined: neither nft nor iptables-save is installed")
	}
	if f.Config == nil {
		return ok("no file, no prefixes")
	}
	type hit struct {
		NAT
		prefixes []netip.Prefix
		first    string
	}
	var hits []hit
	for _, n := range f.NAT {
		if prefixes, first := n.ofConfig(f.Config); len(prefixes) > 0 {
			hits = append(hits, hit{n, prefixes, first})
		}
	}
	findings := each(hits, func(h hit) []Finding {
		return warn(h.mend(h.prefixes), "it changes dst before the steering sees the packet, so it has another port or address: clients do not get what the route says",
			"a DNAT rule takes %s of %s: %s (%s, from %s)", h.first, list(h.prefixes), h.Text, h.Chain, h.Start)
	})
	return orOK(findings, "no DNAT rule for a served address (%s)", strings.Join(f.Tools, ", "))
}

// spareFor is the command that keeps the packets for p from a rule: in spare, %[1]s is the prefix and %[2]s its family.
func spareFor(spare string, p netip.Prefix) string {
	family := "ip"
	if p.Addr().Is6() {
		family = "ip6"
	}
	return fmt.Sprintf(spare, p, family)
}

// mend keeps the packets for the prefixes from the rule.
func (n NAT) mend(prefixes []netip.Prefix) string {
	var lines []string
	for _, p := range prefixes[:min(len(prefixes), most)] {
		lines = append(lines, spareFor(n.Spare, p))
	}
	return strings.Join(lines, "\n") + "\n# or have its owner publish the port on addresses that are not served, not on all"
}

// list names three prefixes, and how many more there are: the message stays one line.
func list(prefixes []netip.Prefix) string {
	const named = 3
	var texts []string
	for _, p := range prefixes[:min(len(prefixes), named)] {
		texts = append(texts, p.String())
	}
	if more := len(prefixes) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(texts, ", ")
}
