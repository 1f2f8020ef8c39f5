package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"

	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/resolve"
	"anyport/proxy/route"
)

// names are the DNS names of origins: they make origins of what a [resolve.Resolver] knows.
type names struct {
	resolver *resolve.Resolver
	log      *slog.Logger

	mu      sync.Mutex
	refused map[string]string          // "route address" → why, so that the log has it once
	good    map[useOf][]resolve.Target // what a route could use last; it stays while all that its name has is refused
}

// useOf is a name as an origin of a route.
type useOf struct {
	route string
	name  resolve.Name
}

// members returns the origins of the routes of one file, with the addresses that their names have when
// it is asked.
func (n *names) members(routes []*config.Route) route.Members {
	var check *config.OriginCheck
	if config.Named(routes) {
		check = config.NewOriginCheck(routes)
	}
	return func(r *config.Route) []origin.Member {
		var all []origin.Member
		for _, o := range r.Origins {
			if o.Host == "" {
				all = append(all, origin.Member{Ways: []config.Origin{o}})
				continue
			}
			all = append(all, n.resolved(r, o, check)...)
		}
		return origin.Distinct(all)
	}
}

// resolved makes members of what o's name stands for.
func (n *names) resolved(r *config.Route, o config.Origin, check *config.OriginCheck) []origin.Member {
	use := useOf{r.Name, resolve.Name{Host: o.Host, SRV: o.SRV}}
	targets := n.resolver.Answer(use.name).Targets
	if all := n.usable(r, o, targets, check); len(all) > 0 {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.good[use] = targets
		return all
	}
	n.mu.Lock()
	good := n.good[use]
	n.mu.Unlock()
	return n.usable(r, o, good, check)
}

// usable makes members of the addresses of targets that r can dial and may forward to.
func (n *names) usable(r *config.Route, o config.Origin, targets []resolve.Target, check *config.OriginCheck) (all []origin.Member) {
	for _, target := range targets {
		one := o
		if o.SRV {
			one.Ports = config.PortRange{First: target.Port, Last: target.Port}
			one.Weight = min(o.Weight*target.Weight, maxWeight)
			one.Backup = o.Backup || target.Backup
		}
		addrs := slices.DeleteFunc(slices.Clone(target.Addrs), func(addr netip.Addr) bool {
			one.Addr = addr
			return !r.Dials(addr) || n.refuses(r, one, check)
		})
		all = append(all, origin.Resolved(one, addrs)...)
	}
	return all
}

// newNames makes the names of a server, which calls changed when addresses have changed.
func newNames(opt Options, routes *route.Live, changed func()) *names {
	n := &names{log: opt.Log, refused: map[string]string{}, good: map[useOf][]resolve.Target{}}
	n.resolver = resolve.New(resolve.Options{Read: opt.ReadFile, Changed: changed, Log: opt.Log})
	routes.ResolveBy(n.members)
	return n
}

// namesOf lists the DNS names of some routes.
func namesOf(routes []*config.Route) (all []resolve.Name) {
	for _, r := range routes {
		for _, o := range r.Origins {
			if o.Host != "" {
				all = append(all, resolve.Name{Host: o.Host, SRV: o.SRV})
			}
		}
	}
	return all
}

// keepServed has the resolver forget the names that no route in service has any more.
func (n *names) keepServed(set *route.Set) {
	var routes []*config.Route
	uses := map[useOf]bool{}
	for _, r := range slices.Concat(set.Routes, set.Twins()) {
		routes = append(routes, r.Route)
		for _, name := range namesOf([]*config.Route{r.Route}) {
			uses[useOf{r.Name, name}] = true
		}
	}
	n.resolver.Keep(namesOf(routes))
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.good, func(use useOf, _ []resolve.Target) bool { return !uses[use] })
}

// Resolve resolves the DNS names of routes that are to come into service, and returns a problem for
// each route that has no origin without its names. It returns when every name has an answer or has
// failed, or when ctx is done. A name that is known already is not asked for again.
func (s *Server) Resolve(ctx context.Context, routes []*config.Route) (problems config.Problems) {
	s.names.resolver.Resolve(ctx, namesOf(routes))
	members := s.names.members(routes)
	for _, r := range routes {
		if !r.Forwards() || len(members(r)) > 0 {
			continue
		}
		for i, o := range r.Origins {
			why := s.names.resolver.Answer(resolve.Name{Host: o.Host, SRV: o.SRV}).Err
			if why == nil {
				why = errors.New("none of its addresses can be used")
			}
			problems = append(problems, config.Problem{Route: r.Name, Key: fmt.Sprintf("origins[%d]", i),
				Text: fmt.Sprintf("%q has no address, and the route has no other origin: %v", o.Text, why)})
		}
	}
	return problems
}

// ForgetUnused has the names forgotten that Resolve has resolved for routes that did not come into
// service.
func (s *Server) ForgetUnused() { s.names.keepServed(s.routes.Set()) }

// Resolving returns which names are resolved, by whom, and what is known of them.
func (s *Server) Resolving() resolve.Status { return s.names.resolver.Status() }

// maxWeight is the largest weight that a file may give an origin.
const maxWeight = 65535

var errOwnAddress = errors.New("it is this host's own, and would answer the clients of a transparent route directly")

// isOwn reports whether this host has an address; not if that cannot be read. It asks the kernel.
func isOwn(addr netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(all, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr() == addr
	})
}

// maxRefused bounds the memory that a name takes whose addresses change all the time.
const maxRefused = 1024

// refuses reports whether r must not forward to the address that o has, and logs why when it begins.
func (n *names) refuses(r *config.Route, o config.Origin, check *config.OriginCheck) bool {
	err := check.Refuse(r, o)
	if err == nil && r.Transparent && isOwn(o.Addr) {
		err = errOwnAddress
	}
	key := r.Name + " " + o.Addr.String()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		delete(n.refused, key)
		return false
	}
	if n.refused[key] != err.Error() {
		if len(n.refused) >= maxRefused {
			clear(n.refused)
		}
		n.refused[key] = err.Error()
		n.log.Error("an address of a name is not used", "route", r.Name, "name", o.Text, "address", o.Addr, "error", err)
	}
	return true
}
