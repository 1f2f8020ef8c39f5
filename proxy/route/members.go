package route

import (
	"anyport/config"
	"anyport/proxy/origin"
)

// Members returns the origins of a route with the addresses that their DNS names have now.
type Members func(r *config.Route) []origin.Member

// literals is Members without DNS names.
func literals([]*config.Route) Members {
	return func(r *config.Route) []origin.Member { return origin.Literals(r.Origins) }
}

// ResolveBy has the members of all routes made by what resolve returns for the routes of one file. It
// must be called before the first Try.
func (l *Live) ResolveBy(resolve func(routes []*config.Route) Members) { l.resolve = resolve }

// RenewOrigins gives the routes in service the addresses that their DNS names have now. Live conns and
// flows stay where they are. During a trial a route of both generations has one count of each address:
// whether the trial is kept or undone, conns that began meanwhile go on counting.
func (l *Live) RenewOrigins() {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	for s := range l.Set().generations {
		for _, r := range s.Routes {
			if config.Named([]*config.Route{r.Route}) {
				r.renewOrigins(s.members(r.Route), l.Set().poolsOf(r.Name))
			}
		}
	}
	l.CallWaiting()
}

// poolsOf returns the origins of the route of that name: one pool, or during a trial two.
func (s *Set) poolsOf(name string) (pools []*origin.Pool) {
	for g := range s.generations {
		if r := g.byName[name]; r != nil {
			pools = append(pools, r.Origins())
		}
	}
	return pools
}
