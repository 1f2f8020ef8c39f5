package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// drains are the routes that take no new conns. A value never changes: an order makes another one, so
// that status and metrics may read it at any time.
type drains struct {
	all    bool                 // also the routes of a later reload
	routes map[string]bool      // by name
	from   map[string]time.Time // when routes begin to refuse; a route that is missing refuses at once
	at     time.Time            // the time by which proxy and kernel do so: that of setDrains
}

// with returns d after an order, where route "" is all of them: that replaces all earlier orders, those for
// single routes included.
func (d drains) with(route string, on bool) drains {
	if route == "" {
		return drains{all: on}
	}
	next := drains{all: d.all, routes: maps.Clone(d.routes), from: d.from}
	if next.routes == nil {
		next.routes = map[string]bool{}
	}
	next.routes[route] = on
	return next
}

// has reports whether a route is to be drained.
func (d drains) has(route string) bool {
	if on, said := d.routes[route]; said {
		return on
	}
	return d.all
}

// hasEach reports whether every route in service is to be drained: one of them may be excepted.
func (d drains) hasEach(serving map[string]bool) bool {
	for route := range serving {
		if !d.has(route) {
			return false
		}
	}
	return true
}

// differs reports whether some route in service is to be drained by only one of the two.
func (d drains) differs(from drains, serving map[string]bool) bool {
	for route := range serving {
		if d.has(route) != from.has(route) {
			return true
		}
	}
	return false
}

// only returns d without the routes that are not served any more.
func (d drains) only(serving map[string]bool) drains {
	kept := drains{all: d.all, routes: map[string]bool{}, from: d.from}
	for route, on := range d.routes {
		if serving[route] {
			kept.routes[route] = on
		}
	}
	return kept
}

// drain makes a route, or all if it is "", take no new conns, or take them again.
func (d *daemon) drain(route string, on bool) error {
	if err := d.checkRoute(route); err != nil {
		return err
	}
	if err := d.checkChangeable(); err != nil {
		return err
	}
	before := *d.drains.Load()
	next := before.with(route, on)
	if d.serving.Load().config.Announce.Table != 0 {
		next = next.refusingFrom(time.Now().Add(drainGrace), before, d.routeNames())
	}
	if next.differs(before, d.routeNames()) {
		d.tellMove()
	}
	if err := d.setDrains(next); err != nil {
		return err
	}
	what := "an operator drains a route: it takes no new conns"
	if !on {
		what = "an operator has a route take new conns again"
	}
	d.log.Info(what, "route", route, "conns", d.drainState(route).Total())
	return nil
}

// checkRoute refuses a name that no route in service has; "" is all of them.
func (d *daemon) checkRoute(route string) error {
	serving := d.routeNames()
	if route == "" || serving[route] {
		return nil
	}
	return admin.Refuse(admin.ErrNoRoute, fmt.Errorf("no route %q is in service: there are %s", route, strings.Join(slices.Sorted(maps.Keys(serving)), ", ")))
}

// routeNames are the names of its routes.
func (g *generation) routeNames() map[string]bool {
	names := map[string]bool{}
	for _, r := range g.config.Routes {
		names[r.Name] = true
	}
	return names
}

// setDrains drains these routes in the proxy and the kernel, and no others; those in their grace later. The proxy
// comes first: it refuses a conn that the kernel has just let through.
func (d *daemon) setDrains(next drains) error {
	serving := d.routeNames()
	next = next.only(serving)
	down, now := d.proxy.AllDown(), time.Now()
	for route := range serving {
		refuse := next.refuses(route, now)
		d.proxy.Drain(route, refuse)
		if err := d.steering.RefuseConns(route, refuse, down[route]); err != nil {
			return err
		}
		if down[route] != d.allDown[route] {
			d.logAllDown(route, down[route])
		}
	}
	next.at = now
	d.drains.Store(&next)
	d.allDown = down
	d.noteAnnounce()
	if wait, waits := next.nextRefusal(now); waits {
		d.refusalDue = time.After(wait)
	}
	return nil
}

// inheritDrains goes on draining what the process before did, whose steering this is now. Only the names of the
// routes are known: whether the order was for all, and so for later routes, is not.
func (d *daemon) inheritDrains() error {
	kernel, err := d.steering.Status()
	if err != nil {
		return err
	}
	draining := kernel.Draining
	if d.before != nil {
		draining = append(draining, d.before.Draining...)
	}
	slices.Sort(draining)
	draining = slices.Compact(draining)
	next := *d.drains.Load()
	if d.before != nil {
		next = next.inGrace(d.before.Grace, time.Now())
	}
	for _, route := range draining {
		next = next.with(route, true)
		d.log.Warn("a route takes no new conns: it was draining before", "route", route, "hint", "anyport drain --undo")
	}
	return d.setDrains(next)
}

// drainingRoutes are those that take no new conns, by name.
func (d *daemon) drainingRoutes() (routes []string) {
	drains := d.drains.Load()
	for route := range d.routeNames() {
		if drains.has(route) {
			routes = append(routes, route)
		}
	}
	return routes
}

// drainState is the state of a route now, or of all if it is "".
func (d *daemon) drainState(route string) admin.Drained {
	active, drains := d.activeByRoute(), d.drains.Load()
	if route == "" {
		return admin.Drained{Draining: drains.hasEach(d.routeNames()), Conns: active}
	}
	return admin.Drained{Draining: drains.has(route), Conns: map[string]int64{route: active[route]}}
}

// drainPoll is the time between two looks at a route whose drain is waited for: the end of the last conn
// wakes nobody.
const drainPoll = 100 * time.Millisecond

// awaitDrained returns when the last conn of the route has ended. It is an error if the route takes new
// ones before.
func (d *daemon) awaitDrained(ctx context.Context, route string) error {
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		drains := d.drains.Load()
		_, waits := drains.nextRefusal(drains.at) // not by the time now: the routes refuse only after setDrains
		now := d.drainState(route)
		switch {
		case !now.Draining:
			return errors.New("somebody else has undone the drain")
		case now.Total() == 0 && !waits:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
