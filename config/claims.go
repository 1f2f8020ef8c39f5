package config

import (
	"net/netip"
	"slices"
)

// claims are the prefixes of a file with the routes that name each. Prefixes with
// the same routes share one rivalry, so that a million of them are judged once.
type claims struct {
	byPrefix  map[netip.Prefix]int // index into rivalries
	rivalries []rivalry
}

// A rivalry is the routes that name the same prefix, in the order of the file.
type rivalry struct {
	routes []*Route
	prefix netip.Prefix // the file's first of them; zero if others joined on all
}

func claim(routes []*Route) *claims {
	c := &claims{byPrefix: map[netip.Prefix]int{}, rivalries: make([]rivalry, 1)}
	type step struct {
		from  int
		route *Route
	}
	joined := map[step]int{}
	for _, r := range routes {
		for _, prefix := range r.Prefixes {
			s := step{c.byPrefix[prefix], r}
			to, known := joined[s]
			if !known {
				to = len(c.rivalries)
				joined[s] = to
				c.rivalries = append(c.rivalries, rivalry{routes: append(slices.Clip(c.rivalries[s.from].routes), r)})
			}
			c.byPrefix[prefix] = to
		}
	}
	c.place(routes)
	return c
}

// place finds a prefix for each rivalry that still has one.
func (c *claims) place(routes []*Route) {
	for _, r := range routes {
		for _, prefix := range r.Prefixes {
			if s := &c.rivalries[c.byPrefix[prefix]]; !s.prefix.IsValid() {
				s.prefix = prefix
			}
		}
	}
}

// at is the rivalry about prefix itself; without routes if nobody names it.
func (c *claims) at(prefix netip.Prefix) rivalry { return c.rivalries[c.byPrefix[prefix]] }

// A segment is a run of ports with the same winners: nobody, one route, or several
// that tie.
type segment struct {
	PortRange
	winners []*Route
}

// contest gives every port of protocol to the routes with the narrowest range there.
func contest(routes []*Route, protocol Protocol) []segment {
	var starts []int
	for _, r := range routes {
		for _, ports := range slices.Concat(r.Ports, r.ExceptPorts) {
			starts = append(starts, int(ports.First), int(ports.Last)+1)
		}
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	var segments []segment
	for i, start := range starts[:max(0, len(starts)-1)] {
		ports := PortRange{uint16(start), uint16(starts[i+1] - 1)}
		won := winners(routes, protocol, ports.First)
		if last := len(segments) - 1; last >= 0 && slices.Equal(segments[last].winners, won) {
			segments[last].Last = ports.Last
			continue
		}
		segments = append(segments, segment{ports, won})
	}
	return segments
}

func winners(routes []*Route, protocol Protocol, port uint16) []*Route {
	var best []*Route
	least := 0
	for _, r := range routes {
		width := r.narrowest(port)
		if width == 0 || !r.Takes(protocol) || least != 0 && width > least {
			continue
		}
		if width != least {
			best, least = nil, width
		}
		best = append(best, r)
	}
	return best
}
