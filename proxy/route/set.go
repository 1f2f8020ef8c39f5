package route

import (
	"net/netip"
	"sync/atomic"

	"anyport/config"
)

// Table decides which route takes a conn or flow.
type Table interface {
	// Lookup returns the route that forwards dst, or nil where none does.
	Lookup(protocol config.Protocol, dst netip.AddrPort) *config.Route
}

// Set is one generation: a table, and its routes in service.
type Set struct {
	table  Table
	Routes []*Route // in the order of the file
	byFile map[*config.Route]*Route
	byName map[string]*Route
}

// Lookup returns the route that forwards dst, or nil where none does.
func (s *Set) Lookup(protocol config.Protocol, dst netip.AddrPort) *Route {
	c := s.table.Lookup(protocol, dst)
	if c == nil {
		return nil
	}
	return s.byFile[c]
}

// Keeps reports whether a conn or flow that began on r goes on: r is still in service
// under its name, and dst is still forwarded.
func (s *Set) Keeps(protocol config.Protocol, dst netip.AddrPort, r *Route) bool {
	return s.byName[r.Name] != nil && s.table.Lookup(protocol, dst) != nil
}

// Named returns the route of that name, or nil.
func (s *Set) Named(name string) *Route { return s.byName[name] }

// Live is the generation in service. A swap is atomic: a loop sees the old one or the new one.
type Live struct {
	Unrouted *Stats // counts what no route takes

	set      atomic.Pointer[Set]
	watchers registry[func()]
	listers  registry[Lister] // of the loops that have conns
	shards   int
}

// NewLive serves nothing until the first Swap. shards is the number of event
// loops that count, TCP and UDP together.
func NewLive(shards int) *Live {
	l := &Live{Unrouted: newStats(shards), shards: shards}
	l.set.Store(&Set{table: nothing{}})
	return l
}

// Set returns the generation in service.
func (l *Live) Set() *Set { return l.set.Load() }

// Swap puts a new generation into service. A route whose name was there before
// keeps its counters, and the origins that it still has. Swaps must not race.
func (l *Live) Swap(table Table, routes []*config.Route) {
	old := l.Set()
	s := &Set{table: table, byFile: make(map[*config.Route]*Route, len(routes)), byName: make(map[string]*Route, len(routes))}
	for _, c := range routes {
		r := newRoute(c, old.Named(c.Name), l.shards)
		s.Routes = append(s.Routes, r)
		s.byFile[c], s.byName[c.Name] = r, r
	}
	l.set.Store(s)
	for _, key := range l.watchers.keys() {
		l.watchers.use(key, func(swapped func()) { swapped() })
	}
}

// Watch calls swapped after each swap, on the goroutine that swaps, until it is
// cancelled. It must not block. Once cancel has returned it is not called any more.
func (l *Live) Watch(swapped func()) (cancel func()) { return l.watchers.add(swapped) }

type nothing struct{}

func (nothing) Lookup(config.Protocol, netip.AddrPort) *config.Route { return nil }
