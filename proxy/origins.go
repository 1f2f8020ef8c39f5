package proxy

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/origin"
	"anyport/proxy/probe"
	"anyport/proxy/route"
)

// checkOrigins makes the checks of the routes in service until ctx is done. Half of the reserve of
// files is for them; the rest is for the admin socket, a reload or an upgrade at the same time.
func (s *Server) checkOrigins(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with ctx
		select {
		case <-s.handedOver:
			cancel() // the other process checks
		case <-ctx.Done():
		}
	}()
	atOnce := defaultChecks
	if b := s.budget.Load(); b != nil {
		atOnce = b.Reserve / 2
	}
	s.checks.Run(ctx, atOnce)
}

// defaultChecks is how many checks are made at the same time where files are not counted.
const defaultChecks = 64

// setChecks has the origins of the generation in service checked, after a reload. An origin that is no
// longer checked is up.
func (s *Server) setChecks() {
	s.settingChecks.Lock()
	defer s.settingChecks.Unlock()
	set := s.routes.Set()
	if s.checked.Swap(set) == set {
		return
	}
	now := time.Now()
	var targets []probe.Target
	for r, o := range originsOf(set) {
		if c, ok := probe.Of(r.Route, o.Origin); ok && !o.Vanished() {
			targets = append(targets, probe.Target{Check: c, Subject: probe.Subject{Route: r.Name, Origin: o}})
		} else {
			o.SetChecked(false, "it is no longer checked", now)
		}
	}
	s.checks.Set(targets, now)
	s.reportHealth()
}

// renewOrigins is called after DNS names have got other addresses: these are checked from now on.
func (s *Server) renewOrigins() {
	if len(s.routes.Set().Routes) == 0 { // nothing serves yet
		return
	}
	s.routes.RenewOrigins()
	s.checked.Store(nil)
	s.setChecks()
}

// originsChanged is called after origins went down or came back.
func (s *Server) originsChanged(down bool) {
	if down {
		s.routes.OriginDown()
	}
	s.routes.CallWaiting()
	for _, r := range s.routes.Set().Routes {
		for _, alarm := range r.Origins().ChecksChanged(time.Now()) {
			alarm.Log(s.opt.Log)
		}
	}
	s.reportHealth()
}

func (s *Server) reportHealth() {
	if s.opt.HealthChanged != nil {
		s.opt.HealthChanged()
	}
}

// AllDown returns the names of the routes that the kernel has to refuse new conns of: those of TCP with
// on_all_down = "refuse" that have no origin that is up. Datagrams of new flows reach the proxy, which
// finds no origin for them.
func (s *Server) AllDown() map[string]bool {
	return s.noneUp(func(r *route.Route) bool { return r.Takes(config.TCP) })
}

// NoneUp returns the names of all routes with on_all_down = "refuse" that have no origin that is up.
func (s *Server) NoneUp() map[string]bool { return s.noneUp(func(*route.Route) bool { return true }) }

// noneUp is NoneUp of the routes that among accepts.
func (s *Server) noneUp(among func(*route.Route) bool) map[string]bool {
	down := map[string]bool{}
	for _, r := range s.routes.Set().Routes {
		if r.OnAllDown == config.RefuseAll && r.Action == config.Forward && among(r) && r.Origins().AllDown() {
			down[r.Name] = true
		}
	}
	return down
}

// ForceOrigin forces a state on an origin of a route, by its address as the file has it.
func (s *Server) ForceOrigin(routeName, address string, to health.Forced) error {
	o, err := s.findOrigin(routeName, address)
	if err != nil {
		return err
	}
	if o.Force(to, "by hand", time.Now()) {
		s.opt.Log.Info("an operator has set the state of an origin", "route", routeName, "origin", o.Text, "state", to, "conns", o.Active())
		s.originsChanged(o.Standing().Down())
	}
	return nil
}

// SetOriginWeight sets the weight of an origin until the next reload.
func (s *Server) SetOriginWeight(routeName, address string, weight int) error {
	o, err := s.findOrigin(routeName, address)
	if err != nil {
		return err
	}
	if o.Vanished() {
		return fmt.Errorf("origin %q of route %q is gone from its name: it gets nothing new, whatever its weight", address, routeName)
	}
	s.opt.Log.Info("an operator has set the weight of an origin", "route", routeName, "origin", o.Text, "weight", weight, "before", o.CurrentWeight())
	o.SetWeight(weight)
	s.routes.CallWaiting()
	s.reportHealth()
	return nil
}

// originsOf yields each origin of a generation once, with its route. During a trial the origins of both sides are
// among them, and what both have is with the route of the old side.
func originsOf(set *route.Set) iter.Seq2[*route.Route, *origin.Origin] {
	return func(yield func(*route.Route, *origin.Origin) bool) {
		for _, r := range set.Routes {
			for _, o := range r.Origins().Origins {
				if !yield(r, o) {
					return
				}
			}
		}
		for _, twin := range set.Twins() {
			for _, o := range onlyOf(twin, set.Named(twin.Name)) {
				if !yield(twin, o) {
					return
				}
			}
		}
	}
}

// onlyOf are the origins that r has and other, a route of the same name, has not. What both have is one origin,
// with the checks of other.
func onlyOf(r, other *route.Route) (only []*origin.Origin) {
	for _, o := range r.Origins().Origins {
		if !slices.ContainsFunc(other.Origins().Origins, func(b *origin.Origin) bool { return b.Text == o.Text }) {
			only = append(only, o)
		}
	}
	return only
}

// findOrigin returns an origin of a route in service.
func (s *Server) findOrigin(routeName, address string) (*origin.Origin, error) {
	r := s.routes.Set().Named(routeName)
	if r == nil {
		return nil, fmt.Errorf("no route %q is in service", routeName)
	}
	var all []string
	origins := r.Origins().Origins
	for _, twin := range s.routes.Set().Twins() {
		if twin.Name == routeName {
			origins = append(slices.Clip(origins), onlyOf(twin, r)...)
		}
	}
	for _, o := range origins {
		if o.Text == address {
			return o, nil
		}
		all = append(all, o.Text)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("route %q has no origins", routeName)
	}
	return nil, fmt.Errorf("route %q has no origin %q: it has %s", routeName, address, strings.Join(all, ", "))
}

// OriginStatus returns the status of one origin of a route.
func (s *Server) OriginStatus(routeName, address string) (OriginStatus, error) {
	o, err := s.findOrigin(routeName, address)
	if err != nil {
		return OriginStatus{}, err
	}
	return originStatus(o, s.routes.Set().Named(routeName).Route, time.Now()), nil
}
