package config

import (
	"net/netip"
	"slices"
	"strings"
)

// checkConflicts reports what the routes of a file do to each other. It gets only routes
// whose ports, protocol and action were read without a problem: a mistake in one of these
// would otherwise be reported again as a tie or a loop.
func checkConflicts(rep *report, routes []*Route) {
	c := ownersOf(routes)
	checkTies(rep, c)
	checkCovered(rep, c, routes)
	checkLoops(rep, c, routes)
	checkEgressApart(rep, routes)
	checkKnocksApart(rep, routes)
	noteReflectors(rep, c, routes)
}

// A tie is a pair of routes, the earlier one of the file first.
type tie struct {
	first, second *Route
	protocol      Protocol
}

// checkTies reports each pair of routes that take the same ports of the same prefix
// by ranges of the same width: once a protocol, on the first such prefix.
func checkTies(rep *report, c *prefixOwners) {
	reported := map[tie]bool{}
	for i, g := range c.groups {
		if !g.prefix.IsValid() || g.previous == 0 {
			continue
		}
		owners := c.routes(i)
		for _, protocol := range []Protocol{TCP, UDP} {
			pairs, ports := ties(portWinners(owners, protocol), protocol)
			for _, t := range pairs {
				if !reported[t] {
					reported[t] = true
					reportTie(rep, t, g.prefix, ports[t])
				}
			}
		}
	}
}

// ties are the pairs that tie, in order of their first port, and the ports of each.
func ties(segments []segment, protocol Protocol) (pairs []tie, ports map[tie][]string) {
	ports = map[tie][]string{}
	for _, s := range segments {
		for i := 1; i < len(s.winners); i++ {
			t := tie{s.winners[0], s.winners[i], protocol}
			if ports[t] == nil {
				pairs = append(pairs, t)
			}
			ports[t] = append(ports[t], s.PortRange.String())
		}
	}
	return pairs, ports
}

// reportTie names at most eight of the ranges: two routes can tie on thousands.
func reportTie(rep *report, t tie, prefix netip.Prefix, ports []string) {
	const most = 8
	if len(ports) > most {
		ports = append(ports[:most:most], "…")
	}
	rep.add(t.second.Name, "ports", "ties with route %q (line %d): both take %s ports %s of %s by ranges of the same width; narrow one, or list the ports in its except_ports",
		t.first.Name, t.first.Line, t.protocol, strings.Join(ports, ", "), prefix)
}

// checkCovered reports prefixes around an origin: anyport makes its prefixes local, and this
// host could no longer reach an origin within one. The origin's own host route is allowed,
// because it cannot be an accident; checkLoops checks its ports.
//
// Each prefix length of each origin is looked up, at most 128, so the time does not depend
// on the number of routes.
func checkCovered(rep *report, c *prefixOwners, routes []*Route) {
	seen := map[netip.Addr]bool{}
	for _, r := range routes {
		for _, o := range r.Origins {
			if seen[o.Addr] || !o.Addr.IsValid() {
				continue
			}
			seen[o.Addr] = true
			for bits := range o.Addr.BitLen() {
				prefix, _ := o.Addr.Prefix(bits)
				for _, claimant := range c.at(prefix) {
					rep.add(claimant.Name, rep.element(claimant.Name, "prefixes", slices.Index(claimant.Prefixes, prefix)), "%q covers %s, an origin of route %q (line %d), which this host could no longer reach: leave that address out",
						prefix, o.Addr, r.Name, r.Line)
				}
			}
		}
	}
}

// checkLoops reports origins whose (address, port) a route of this file takes back: a conn to
// such an origin would come back to anyport, and open the next one, without end.
func checkLoops(rep *report, c *prefixOwners, routes []*Route) {
	for _, r := range routes {
		for i, o := range r.Origins {
			if !o.Addr.IsValid() || !c.named(host(o.Addr)) {
				continue
			}
			for _, protocol := range r.Protocols {
				if port, taker := c.loop(r, o, protocol); taker != nil {
					rep.add(r.Name, rep.element(r.Name, "origins", i), "%q is a loop: route %q (line %d) takes %s port %d of %s back into the proxy; leave the port out there, or keep it with a route with action = \"pass\"",
						o.Text, taker.Name, taker.Line, protocol, port, o.Addr)
				}
			}
		}
	}
}

// loop finds a port of o that r dials and that taker forwards; nil if there is none.
func (c *prefixOwners) loop(r *Route, o Origin, protocol Protocol) (port uint16, taker *Route) {
	back := portWinners(c.at(host(o.Addr)), protocol)
	for _, dialled := range c.dials(r, o, protocol) {
		for _, s := range back {
			port := max(s.First, dialled.First)
			if port > min(s.Last, dialled.Last) {
				continue
			}
			for _, w := range s.winners {
				if w.Forwards() {
					return port, w
				}
			}
		}
	}
	return 0, nil
}

// dials are the ports of o that r forwards to: the dst ports that r wins on any of its
// prefixes, as the origin maps them. A port that r names but loses to a narrower route is
// never dialled, and so is no loop.
func (c *prefixOwners) dials(r *Route, o Origin, protocol Protocol) []PortRange {
	var ports []PortRange
	for i, g := range c.groups {
		if !g.prefix.IsValid() {
			continue
		}
		owners := c.routes(i)
		if !slices.Contains(owners, r) {
			continue
		}
		for _, s := range portWinners(owners, protocol) {
			if slices.Contains(s.winners, r) {
				ports = append(ports, PortRange{o.Port(s.First), o.Port(s.Last)})
			}
		}
	}
	return ports
}
