package config

import (
	"net/netip"
	"slices"
)

// claims are the prefixes of a file with the routes that name each. Prefixes with
// the same routes share one rivalry, so that a million of them are judged once.
type claims struct {
	byPrefix  map[netip.Prefix]int // index into rivalries; 0: nobody names it
	rivalries []rivalry
}

// rivalry is the routes that name the same prefix: route, and those of the rivalry that
// it joined. To keep a list in each would take memory by the square of the routes.
type rivalry struct {
	route  *Route
	joined int          // index of the rivalry before route; 0: route is the first
	prefix netip.Prefix // the file's first of them; zero if others joined on all
}

func claim(routes []*Route) *claims {
	c := &claims{byPrefix: map[netip.Prefix]int{}, rivalries: make([]rivalry, 1)}
	type step struct {
		from  int
		route *Route
	}
	known := map[step]int{}
	for _, r := range routes {
		for _, prefix := range r.Prefixes {
			s := step{c.byPrefix[prefix], r}
			if known[s] == 0 {
				known[s] = len(c.rivalries)
				c.rivalries = append(c.rivalries, rivalry{route: r, joined: s.from})
			}
			c.byPrefix[prefix] = known[s]
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

// named reports whether a route names prefix itself.
func (c *claims) named(prefix netip.Prefix) bool { return c.byPrefix[prefix] != 0 }

// at returns the routes that name prefix itself, in the order of the file.
func (c *claims) at(prefix netip.Prefix) []*Route { return c.routes(c.byPrefix[prefix]) }

// routes returns those of a rivalry, in the order of the file.
func (c *claims) routes(rivalry int) (all []*Route) {
	for ; rivalry != 0; rivalry = c.rivalries[rivalry].joined {
		all = append(all, c.rivalries[rivalry].route)
	}
	slices.Reverse(all)
	return all
}
