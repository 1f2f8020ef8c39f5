package announce

import (
	"net/netip"
	"slices"
	"time"
)

// Served is what a route of the file says about its prefixes.
type Served struct {
	Name     string
	Prefixes []netip.Prefix
	Inactive bool // it is out of its hours
	NoOrigin bool // on_all_down = "refuse", and no origin is up
	Draining bool // by an operator's order
}

// Facts are what a decision goes by.
type Facts struct {
	Now     time.Time
	Problem string // why this host cannot serve; "": it can
	Routes  []Served
}

// book has the units of the host and of the routes. It belongs to an Announcer, whose mutex guards it.
type book struct {
	host     unit
	routes   map[string]*unit
	standing map[netip.Prefix]bool // that were announced by the last decision, or by the process before
	former   map[string]Damping    // of the process before; nil once the routes have entered
}

// newBook begins with the prefixes that another process has announced: they stay announced while they are ready.
func newBook(standing map[netip.Prefix]bool) *book {
	return &book{host: unit{announced: len(standing) > 0}, routes: map[string]*unit{}, standing: standing}
}

// enter makes units for new routes, and forgets those of former ones. A route that has prefixes of a former one, as
// after a change of its name, goes on with them without a wait.
func (b *book) enter(routes []Served) {
	units := map[string]*unit{}
	for _, r := range routes {
		if units[r.Name] = b.routes[r.Name]; units[r.Name] == nil {
			stands := slices.ContainsFunc(r.Prefixes, func(p netip.Prefix) bool { return b.standing[p] })
			units[r.Name] = &unit{announced: stands}
			units[r.Name].resume(b.former[r.Name])
		}
	}
	b.routes, b.former = units, nil
}

// wouldWithdraw reports whether decide withdraws something that is announced because it is not ready.
func (b *book) wouldWithdraw(f Facts) bool {
	b.enter(f.Routes)
	return b.host.announced && f.Problem != "" ||
		slices.ContainsFunc(f.Routes, func(r Served) bool { return b.routes[r.Name].announced && r.NoOrigin && !r.Inactive })
}

// decide returns the verdict on each prefix of the routes. Nothing is withdrawn for want of readiness without
// permission.
func (b *book) decide(f Facts, permitted bool) map[netip.Prefix]Verdict {
	b.enter(f.Routes)
	here := b.host.step(f.Now, f.Problem == "", permitted, NotReady)
	verdicts := map[netip.Prefix]Verdict{}
	for _, r := range f.Routes {
		v := join(here, b.judge(r, f.Now, permitted), r.Draining)
		for _, p := range r.Prefixes {
			if other, known := verdicts[p]; known {
				verdicts[p] = better(v, other)
			} else {
				verdicts[p] = v
			}
		}
	}
	b.standing = map[netip.Prefix]bool{}
	for p, v := range verdicts {
		if v.Stands() {
			b.standing[p] = true
		}
	}
	return verdicts
}

// judge is the verdict on a route on a host that is ready.
func (b *book) judge(r Served, now time.Time, permitted bool) Verdict {
	if r.Inactive {
		return b.routes[r.Name].suspend()
	}
	return b.routes[r.Name].step(now, !r.NoOrigin, permitted, NoOrigin)
}

// join is the verdict on the prefixes of a route, from those on the host and on the route.
func join(host, route Verdict, draining bool) Verdict {
	switch {
	case route == Inactive || route == NoOrigin:
		return route
	case !host.Stands():
		return host
	case !route.Stands():
		return route
	case draining:
		return Draining
	case host == Kept:
		return Kept
	}
	return route
}
