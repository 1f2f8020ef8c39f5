package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// noteReflectors notes where UDP ports of known reflectors are taken though nobody named
// them, and where except_ports has them to no effect, or against ports.
func noteReflectors(rep *report, c *prefixOwners, routes []*Route) {
	wide := c.wideReflectors()
	for _, r := range routes {
		if ports := wide[r]; len(ports) > 0 {
			rep.note(r.Name, "ports", `takes the UDP ports of known reflectors, through which others can be attacked: %s; except_ports = ["reflectors"] leaves them out`, reflectorNames(ports))
		}
		if r.ExceptReflectors && !r.Takes(UDP) {
			rep.note(r.Name, "except_ports", `"reflectors" stands for UDP ports, and this route takes only TCP: it has no effect`)
		}
		if named := r.namedReflectors(); r.ExceptReflectors && r.Takes(UDP) && len(named) > 0 {
			rep.note(r.Name, "except_ports", `"reflectors" leaves out UDP ports that are named in ports: %s; to serve them, name them in a route of their own`, reflectorNames(named))
		}
	}
}

// wideReflectors are the UDP ports of reflectors, sorted, that each route wins on some
// prefix by a range too wide to mean them.
func (c *prefixOwners) wideReflectors() map[*Route][]uint16 {
	all := map[*Route][]uint16{}
	for i, g := range c.groups {
		if !g.prefix.IsValid() {
			continue
		}
		owners := c.routes(i)
		if !slices.ContainsFunc(owners, func(r *Route) bool { return r.anyWideReflector() }) {
			continue
		}
		segments := portWinners(owners, UDP)
		for _, p := range reflectorPorts {
			for _, r := range winnersAt(segments, p.First) {
				if r.WideReflector(p.First) != "" {
					all[r] = append(all[r], p.First)
				}
			}
		}
	}
	for r := range all {
		slices.Sort(all[r])
		all[r] = slices.Compact(all[r])
	}
	return all
}

// anyWideReflector spares the search for winners where no route of a group can have a note.
func (r *Route) anyWideReflector() bool {
	return slices.ContainsFunc(reflectorPorts, func(p PortRange) bool { return r.WideReflector(p.First) != "" })
}

// winnersAt returns nil for a port outside of all segments.
func winnersAt(segments []segment, port uint16) []*Route {
	i, found := slices.BinarySearchFunc(segments, port, func(s segment, port uint16) int {
		if s.Contains(port) {
			return 0
		}
		return cmp.Compare(s.First, port)
	})
	if !found {
		return nil
	}
	return segments[i].winners
}

// namedReflectors are the UDP ports of reflectors that ports holds by ranges narrow enough
// to mean them, whatever is excepted.
func (r *Route) namedReflectors() (ports []uint16) {
	for _, p := range reflectorPorts {
		names := func(in PortRange) bool { return in.Contains(p.First) && in.Width() <= WidestMeant }
		if slices.ContainsFunc(r.Ports, names) {
			ports = append(ports, p.First)
		}
	}
	return ports
}

// reflectorNames is "53 (dns), 123 (ntp), 161 (snmp) and 18 more".
func reflectorNames(ports []uint16) string {
	const most = 4
	var all []string
	for _, port := range ports {
		all = append(all, fmt.Sprintf("%d (%s)", port, Reflector(port)))
	}
	if more := len(all) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), more)
	}
	return strings.Join(all, ", ")
}
