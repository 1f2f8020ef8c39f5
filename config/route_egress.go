package config

import (
	"net/netip"
	"slices"
)

// checkEgress checks the egress prefixes of one route.
func checkEgress(t *table, r *Route) {
	const key = "egress_prefixes"
	switch {
	case !r.Takes(UDP):
		t.fault(key, `is for UDP: remove it, or add "udp" to protocol`)
	case r.Action != Forward:
		t.fault(key, "is not used with action = %q: remove it", r.Action)
	case len(r.Source) > 0:
		t.fault(key, "cannot be combined with source: remove one of the two")
	}
	families := map[bool]bool{}
	for _, p := range r.EgressPrefixes {
		families[p.Addr().Is4()] = true
	}
	for _, o := range r.Origins {
		if o.Host == "" && !families[o.Addr.Is4()] {
			t.fault(key, "has no prefix of the family of origin %q: add one, or remove the origin", o.Text)
			return
		}
	}
}

// checkEgressApart reports egress prefixes that meet a prefix that is served, whose
// UDP they would take, or an origin, which this host could not reach any more.
func checkEgressApart(rep *report, routes []*Route) {
	for _, r := range routes {
		for i, egress := range r.EgressPrefixes {
			key := rep.element(r.Name, "egress_prefixes", i)
			if other, prefix := serving(routes, egress); other != nil {
				rep.add(r.Name, key, "%q overlaps %s of route %q (line %d): replies of origins and datagrams of clients need different addresses", egress, prefix, other.Name, other.Line)
			}
			if other, o := originIn(routes, egress); other != nil {
				rep.add(r.Name, key, "%q covers %s, an origin of route %q (line %d), which this host could no longer reach: leave that address out", egress, o.Addr, other.Name, other.Line)
			}
		}
	}
}

// serving finds a route that serves a part of prefix.
func serving(routes []*Route, prefix netip.Prefix) (*Route, netip.Prefix) {
	for _, r := range routes {
		if i := slices.IndexFunc(r.Prefixes, prefix.Overlaps); i >= 0 {
			return r, r.Prefixes[i]
		}
	}
	return nil, netip.Prefix{}
}

// originIn finds an origin within prefix.
func originIn(routes []*Route, prefix netip.Prefix) (*Route, Origin) {
	for _, r := range routes {
		for _, o := range r.Origins {
			if prefix.Contains(o.Addr) {
				return r, o
			}
		}
	}
	return nil, Origin{}
}

// checkEgressWorkers: a reply is steered by a hash of its source, the origin, and so may reach
// another worker than the one that has the flow.
func checkEgressWorkers(rep *report, cfg *Config) {
	for _, r := range cfg.Routes {
		if len(r.EgressPrefixes) > 0 && cfg.Listen.Workers > 1 {
			rep.add(r.Name, "egress_prefixes", "needs a single worker, and listen.workers is %d: write workers = 1, or remove it", cfg.Listen.Workers)
		}
	}
}
