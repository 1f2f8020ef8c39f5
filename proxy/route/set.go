package route

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"anyport/config"
)

// Table decides which route takes a conn or flow.
type Table interface {
	// Lookup returns the route that forwards dst, or nil where none does.
	Lookup(protocol config.Protocol, dst netip.AddrPort) *config.Route
	// Passes reports whether the kernel hands packets for dst to the host's own sockets.
	Passes(protocol config.Protocol, dst netip.AddrPort) bool
}

// Set is one generation: a table and its routes in service. It does not change once it is in
// service; every reload makes a new one.
type Set struct {
	table   Table
	Routes  []*Route // in the order of the file
	byFile  map[*config.Route]*Route
	byName  map[string]*Route
	members Members
	names   bool   // some route has accept_proxy
	before  *Set   // while this one is on trial: the generation to return to; otherwise nil
	sides   *sides // not nil: this is two generations, of which each has some of the clients; see sides.go
}

// Lookup returns the route that forwards what client sends to dst, or nil where none does. The client is the
// address that the packets come from, also where a PROXY header names another one.
func (s *Set) Lookup(protocol config.Protocol, client netip.Addr, dst netip.AddrPort) *Route {
	if s.sides != nil {
		return s.sides.lookup(protocol, client, dst)
	}
	if r := s.byFile[s.table.Lookup(protocol, dst)]; r != nil || s.before == nil {
		return r
	}
	return s.before.Lookup(protocol, client, dst)
}

// forwards reports whether any route forwards dst.
func (s *Set) forwards(protocol config.Protocol, dst netip.AddrPort) bool {
	if s.sides != nil {
		return s.sides.old.forwards(protocol, dst) || s.sides.next.forwards(protocol, dst)
	}
	return s.byFile[s.table.Lookup(protocol, dst)] != nil || s.before != nil && s.before.forwards(protocol, dst)
}

// Keeps reports whether a conn or flow that began on r goes on: a route of r's name is in service and
// dst is still forwarded. Otherwise it drains.
func (s *Set) Keeps(protocol config.Protocol, dst netip.AddrPort, r *Route) bool {
	return s.Named(r.Name) != nil && s.forwards(protocol, dst)
}

// NamesClients reports whether any route has its clients named by PROXY headers.
func (s *Set) NamesClients() bool { return s.names || s.before != nil && s.before.NamesClients() }

// OnTrial reports whether the generation can still be undone.
func (s *Set) OnTrial() bool { return s.before != nil || s.sides != nil }

// Passes reports whether packets for dst go to the host's own sockets.
func (s *Set) Passes(protocol config.Protocol, dst netip.AddrPort) bool {
	if s.sides != nil {
		return s.sides.old.Passes(protocol, dst) && s.sides.next.Passes(protocol, dst)
	}
	return s.table.Passes(protocol, dst) && (s.before == nil || s.before.Passes(protocol, dst))
}

// Named returns the route of that name, or nil.
func (s *Set) Named(name string) *Route {
	if r := s.byName[name]; r != nil || s.before == nil {
		return r
	}
	return s.before.Named(name)
}

// Live is the generation in service, which all event loops read. A swap is atomic: a loop sees the old
// one or the new one.
type Live struct {
	Unrouted *Stats // counts what no route takes

	set       atomic.Pointer[Set]
	swaps     atomic.Uint64 // how often a generation came into service
	downs     atomic.Uint64 // how often an origin went down
	overs     atomic.Uint64 // how often the time of a route was over
	renewing  sync.Mutex    // held to make pools of origins, so that two of one route have the same counts
	resolve   func(routes []*config.Route) Members
	watchers  registry[func()]
	recording atomic.Pointer[Recording]
	trace     atomic.Pointer[func(Traced)] // nil: nobody traces
	loops     registry[Loop]               // those that have conns
	shards    int
	rates     func() *clientRates // of all routes; made by the first that needs it
}

// NewLive returns a Live without routes. shards is the number of event loops that count, those of TCP
// and UDP together.
func NewLive(shards int) *Live {
	l := &Live{Unrouted: newStats(shards), shards: shards, rates: sync.OnceValue(newClientRates), resolve: literals}
	l.set.Store(&Set{table: nothing{}})
	return l
}

// Set returns the generation in service.
func (l *Live) Set() *Set { return l.set.Load() }

// Swap puts a new generation into service. A route whose name was there before
// keeps its counters, and the origins that it still has. Swaps must not race.
func (l *Live) Swap(table Table, routes []*config.Route) { l.Try(table, routes).Keep(table) }

// Try puts a new generation into service on trial, until Keep or Undo: it takes what its table
// forwards, and the generation before takes the rest. So if the kernel refuses the new table, no conn
// or flow has ended and no counter is lost.
func (l *Live) Try(table Table, routes []*config.Route) *Trial {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	s := l.newSet(table, routes, l.resolve(routes), l.Set())
	s.before = l.Set()
	l.set.Store(s)
	return &Trial{l, s}
}

// newSet makes a generation that goes on with the counters and origins of old.
func (l *Live) newSet(table Table, routes []*config.Route, members Members, old *Set) *Set {
	s := &Set{members: members, table: table, byFile: make(map[*config.Route]*Route, len(routes)), byName: make(map[string]*Route, len(routes))}
	for _, c := range routes {
		r := newRoute(c, old.Named(c.Name), l.shards, members)
		if c.NewConnsPerSecondPerClient > 0 {
			r.rates = l.rates()
		}
		s.Routes = append(s.Routes, r)
		s.byFile[c], s.byName[c.Name] = r, r
		s.names = s.names || c.NamesClients()
	}
	return s
}

// Trial is a generation that can still be undone.
type Trial struct {
	live *Live
	set  *Set
}

// Keep ends the trial: only the new generation serves. table is the one that it was tried
// with, or one that forwards the same and knows more of what passes.
func (t *Trial) Keep(table Table) {
	kept := *t.set
	kept.table, kept.before = table, nil
	t.live.store(&kept)
}

// Undo ends the trial: the generation before serves again, with its counters.
func (t *Trial) Undo() { t.live.store(t.set.before) }

// store puts s into service and wakes the loops, which apply it to their live conns.
func (l *Live) store(s *Set) {
	l.set.Store(s)
	l.swaps.Add(1)
	for _, r := range s.Routes { // of two sides that have the route, the one before decides
		r.Stats.share(r.RouteBandwidth)
	}
	l.notify()
	l.CallWaiting()
}

// CallWaiting has the conns that wait for an origin look for one again, after something else than the
// end of a conn may have made room: a reload, an origin that is back, another weight.
func (l *Live) CallWaiting() {
	for _, r := range l.Set().Routes {
		r.Origins().CallWaiting()
	}
}

// OriginDown has the loops look for conns of origins that are down, which on_down = "close" ends.
func (l *Live) OriginDown() {
	l.downs.Add(1)
	l.notify()
}

// Swaps counts the generations that came into service, trials not included.
func (l *Live) Swaps() uint64 { return l.swaps.Load() }

// Downs counts the calls of OriginDown.
func (l *Live) Downs() uint64 { return l.downs.Load() }

func (l *Live) notify() {
	for _, key := range l.watchers.keys() {
		l.watchers.use(key, func(changed func()) { changed() })
	}
}

// Watch has changed called after each swap, OriginDown, HoursOver and SetRecording, on the goroutine that makes it, until
// cancel. It must not block. Once cancel has returned, it is not running and will not be called.
func (l *Live) Watch(changed func()) (cancel func()) { return l.watchers.add(changed) }

// nothing is the table before the first reload.
type nothing struct{}

func (nothing) Lookup(config.Protocol, netip.AddrPort) *config.Route { return nil }
func (nothing) Passes(config.Protocol, netip.AddrPort) bool          { return false }
