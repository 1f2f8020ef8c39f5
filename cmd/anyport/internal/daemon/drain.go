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

// drains are the routes that take no new conns. It is never changed, but replaced.
type drains struct {
	all    bool            // those of a reload to come, too
	routes map[string]bool // by name
}

// with returns d after an order, where route "" is all of them.
func (d drains) with(route string, on bool) drains {
	if route == "" {
		return drains{all: on}
	}
	next := drains{all: d.all, routes: maps.Clone(d.routes)}
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

// among returns d without the routes that have left service.
func (d drains) among(serving map[string]bool) drains {
	kept := drains{all: d.all, routes: map[string]bool{}}
	for route, on := range d.routes {
		if serving[route] {
			kept.routes[route] = on
		}
	}
	return kept
}

// drain has a route, or all where it is "", take no new conns, or again.
func (d *daemon) drain(route string, on bool) error {
	if err := d.checkRoute(route); err != nil {
		return err
	}
	if err := d.ending(); err != nil {
		return err
	}
	if err := d.setDrains(d.drains.Load().with(route, on)); err != nil {
		return err
	}
	d.log.Info("drain", "route", route, "on", on, "conns", d.drained(route).Total())
	return nil
}

func (d *daemon) checkRoute(route string) error {
	serving := d.serving.Load().routeNames()
	if route == "" || serving[route] {
		return nil
	}
	return fmt.Errorf("no route %q is in service: there are %s", route, strings.Join(slices.Sorted(maps.Keys(serving)), ", "))
}

func (g *generation) routeNames() map[string]bool {
	names := map[string]bool{}
	for _, r := range g.config.Routes {
		names[r.Name] = true
	}
	return names
}

// setDrains tells kernel and proxy. A conn that races the kernel is refused by the
// proxy, which so comes first.
func (d *daemon) setDrains(next drains) error {
	serving := d.serving.Load().routeNames()
	next = next.among(serving)
	for route := range serving {
		d.proxy.Drain(route, next.has(route))
		if err := d.steering.Drain(route, next.has(route)); err != nil {
			return err
		}
	}
	d.drains.Store(&next)
	return nil
}

// keepDrains goes on draining what the process before did, whose steering this is now.
func (d *daemon) keepDrains() error {
	kernel, err := d.steering.Status()
	if err != nil {
		return err
	}
	draining := kernel.Draining
	if d.before != nil {
		draining = append(draining, d.before.Draining...)
	}
	slices.Sort(draining)
	next := *d.drains.Load()
	for _, route := range slices.Compact(draining) {
		next = next.with(route, true)
		d.log.Warn("a route takes no new conns: it was draining before", "route", route, "hint", "anyport drain --undo")
	}
	return d.setDrains(next)
}

// drainingRoutes are those that take no new conns, by name.
func (d *daemon) drainingRoutes() (routes []string) {
	drains := d.drains.Load()
	for route := range d.serving.Load().routeNames() {
		if drains.has(route) {
			routes = append(routes, route)
		}
	}
	return routes
}

// drained is what an order for this route has come to by now.
func (d *daemon) drained(route string) admin.Drained {
	active := d.activeByRoute()
	if route != "" {
		active = map[string]int64{route: active[route]}
	}
	return admin.Drained{Draining: d.drains.Load().has(route), Conns: active}
}

// drainPoll is how often those who wait look: the end of the last conn tells nobody.
const drainPoll = 100 * time.Millisecond

// awaitDrained returns once the last conn of the route has ended. It is an error if new ones
// are taken again before.
func (d *daemon) awaitDrained(ctx context.Context, route string) error {
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		now := d.drained(route)
		switch {
		case !now.Draining:
			return errors.New("somebody else has undone the drain")
		case now.Total() == 0:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
