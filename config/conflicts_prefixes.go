package config

import (
	"net/netip"
	"slices"
)

// prefixOwners are the prefixes of a file with the routes that name each. Prefixes with the
// same routes share one ownerGroup, so that the ports of a million prefixes are compared
// once. It is built once for each file, and then only read.
type prefixOwners struct {
	byPrefix map[netip.Prefix]int // index into groups; 0: nobody names it
	groups   []ownerGroup
}

// An ownerGroup is the routes that name the same prefix: route, and those of the group
// before it. The groups form a tree that grows while the routes are read: a list in each
// group would take memory by the square of the routes.
type ownerGroup struct {
	route    *Route
	previous int          // index of the group that route joined; 0: route is the first
	prefix   netip.Prefix // the file's first of them; zero if another route joined on all of them
}

// ownersOf reads the prefixes of routes in the order of the file. The same step from one
// group by the same route always leads to the same next group.
func ownersOf(routes []*Route) *prefixOwners {
	c := &prefixOwners{byPrefix: map[netip.Prefix]int{}, groups: make([]ownerGroup, 1)}
	type step struct {
		from  int
		route *Route
	}
	known := map[step]int{}
	for _, r := range routes {
		for _, prefix := range r.Prefixes {
			s := step{c.byPrefix[prefix], r}
			if known[s] == 0 {
				known[s] = len(c.groups)
				c.groups = append(c.groups, ownerGroup{route: r, previous: s.from})
			}
			c.byPrefix[prefix] = known[s]
		}
	}
	c.findPrefixes(routes)
	return c
}

// findPrefixes finds a prefix for each group that still has one.
func (c *prefixOwners) findPrefixes(routes []*Route) {
	for _, r := range routes {
		for _, prefix := range r.Prefixes {
			if s := &c.groups[c.byPrefix[prefix]]; !s.prefix.IsValid() {
				s.prefix = prefix
			}
		}
	}
}

// named reports whether a route names prefix itself.
func (c *prefixOwners) named(prefix netip.Prefix) bool { return c.byPrefix[prefix] != 0 }

// at returns the routes that name prefix itself, in the order of the file.
func (c *prefixOwners) at(prefix netip.Prefix) []*Route { return c.routes(c.byPrefix[prefix]) }

// routes returns those of a group, in the order of the file.
func (c *prefixOwners) routes(group int) (all []*Route) {
	for ; group != 0; group = c.groups[group].previous {
		all = append(all, c.groups[group].route)
	}
	slices.Reverse(all)
	return all
}
