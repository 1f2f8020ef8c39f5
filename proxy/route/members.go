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
// flows stay where they are.
func (l *Live) RenewOrigins() {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	for s := l.Set(); s != nil; s = s.before {
		for _, r := range s.Routes {
			if config.Named([]*config.Route{r.Route}) {
				r.renewOrigins(s.members(r.Route))
			}
		}
	}
	l.CallWaiting()
}
