package route

import (
	"net/netip"
	"sync/atomic"

	"anyport/config"
)

// sides are two generations that serve at the same time, each its own clients: `anyport reload --share`. Their
// routes of one name share counters, limits, queues and the origins that both have. It never changes.
type sides struct {
	old, next *Set
	takes     func(client netip.Addr) bool // whether next serves a client; the kernel decides in the same way
}

// of returns the generation that serves a client.
func (s *sides) of(client netip.Addr) *Set {
	if s.takes(client) {
		return s.next
	}
	return s.old
}

// lookup is Set.Lookup. A conn whose SYN the kernel judged just before the sides began or ended may have a route
// only in the other generation. A datagram gets here also if only the other generation forwards it, because it
// may be of a flow that began there; a new flow it must not begin.
func (s *sides) lookup(protocol config.Protocol, client netip.Addr, dst netip.AddrPort) *Route {
	side := s.of(client)
	r := side.Lookup(protocol, client, dst)
	if r != nil || protocol == config.UDP {
		return r
	}
	if side == s.next {
		return s.old.Lookup(protocol, client, dst)
	}
	return s.next.Lookup(protocol, client, dst)
}

// generations yields each single generation that s consists of, and then those that it may return to.
func (s *Set) generations(yield func(*Set) bool) {
	for ; s != nil; s = s.before {
		switch {
		case s.sides == nil && !yield(s):
			return
		case s.sides != nil && (!yield(s.sides.old) || !yield(s.sides.next)):
			return
		}
	}
}

// Shared reports whether s is two generations, of which each serves some of the clients.
func (s *Set) Shared() bool { return s.sides != nil }

// Twins are the routes of the generation on trial whose name the generation before has, too: those that Routes
// leaves out.
func (s *Set) Twins() (all []*Route) {
	if s.sides == nil {
		return nil
	}
	for _, r := range s.sides.next.Routes {
		if s.sides.old.byName[r.Name] != nil {
			all = append(all, r)
		}
	}
	return all
}

// NamedFor is Named among the routes that serve a client; an invalid one stands for any.
func (s *Set) NamedFor(client netip.Addr, name string) *Route {
	if s.sides != nil && client.IsValid() {
		return s.sides.of(client).Named(name)
	}
	return s.Named(name)
}

// Sides is two generations in service. It belongs to the goroutine that reloads.
type Sides struct {
	live *Live
	set  *Set
}

// Share puts a second generation into service, for the clients that takes is true for. The generation before
// serves the others, and all that is asked by the name of a route. What began before stays where it is.
func (l *Live) Share(table Table, routes []*config.Route, takes func(client netip.Addr) bool) *Sides {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	before := l.Set()
	old, next := l.again(before), l.newSet(table, routes, l.resolve(routes), before)
	s := &Set{byName: map[string]*Route{}, names: old.names || next.names, sides: &sides{old, next, takes}}
	for _, side := range []*Set{old, next} {
		tally := new(Tally)
		for _, r := range side.Routes {
			if r.tally = tally; s.byName[r.Name] == nil {
				s.byName[r.Name] = r
				s.Routes = append(s.Routes, r)
			}
		}
	}
	l.store(s)
	return &Sides{l, s}
}

// Divide changes which clients the second generation serves. What has begun stays where it is.
func (s *Sides) Divide(takes func(client netip.Addr) bool) *Sides {
	s.live.renewing.Lock()
	defer s.live.renewing.Unlock()
	divided := *s.set
	divided.sides = &sides{s.set.sides.old, s.set.sides.next, takes}
	s.live.set.Store(&divided) // the loops need not look at their live conns, as they must after a store
	return &Sides{s.live, &divided}
}

// TryNext puts the second generation into service for all clients, on trial as Try does.
func (s *Sides) TryNext() *Trial { return s.try(s.set.sides.next) }

// TryOld does so with the generation before.
func (s *Sides) TryOld() *Trial { return s.try(s.set.sides.old) }

func (s *Sides) try(side *Set) *Trial {
	s.live.renewing.Lock()
	defer s.live.renewing.Unlock()
	tried := *side
	tried.before = s.set
	s.live.set.Store(&tried)
	return &Trial{s.live, &tried}
}

// Tallies are what has begun on each side since Share.
func (s *Sides) Tallies() (old, next *Tally) {
	return tallyOf(s.set.sides.old), tallyOf(s.set.sides.next)
}

// tallyOf is that of a side; of one without routes an empty one.
func tallyOf(s *Set) *Tally {
	if len(s.Routes) == 0 {
		return new(Tally)
	}
	return s.Routes[0].tally
}

// Tally counts the conns and flows of all routes of one side, in addition to the counters of each route. A nil
// Tally counts nothing: most of the time there are no sides. The loops share its cache lines, which costs each
// new conn some 100 ns.
type Tally struct {
	arrived [protocols]atomic.Uint64
	ended   [protocols][Verdicts]atomic.Uint64
}

func (t *Tally) arrive(p config.Protocol) {
	if t != nil {
		t.arrived[index(p)].Add(1)
	}
}

func (t *Tally) end(p config.Protocol, v Verdict) {
	if t != nil {
		t.ended[index(p)][v].Add(1)
	}
}

// CountFrom has what begins from now on counted by a Tally of its own, until StopCounting: there are two processes in
// place of two generations. It must not race with Try and Share.
func (l *Live) CountFrom() *Tally {
	tally := new(Tally)
	l.countBy(tally)
	return tally
}

// StopCounting ends what CountFrom has begun, for what begins from now on.
func (l *Live) StopCounting() { l.countBy(nil) }

// again is a new generation of what a set serves. The caller holds renewing.
func (l *Live) again(s *Set) *Set {
	files := make([]*config.Route, len(s.Routes))
	for i, r := range s.Routes {
		files[i] = r.Route
	}
	return l.newSet(s.table, files, s.members, s)
}

func (l *Live) countBy(tally *Tally) {
	l.renewing.Lock()
	defer l.renewing.Unlock()
	before := l.Set()
	s := l.again(before)
	for _, r := range s.Routes {
		r.tally = tally
	}
	l.store(s)
}

// Totals are the counts by protocol. Those that have arrived and not ended are live.
func (t *Tally) Totals() (arrived map[config.Protocol]uint64, ended map[config.Protocol]map[Verdict]uint64) {
	arrived, ended = map[config.Protocol]uint64{}, map[config.Protocol]map[Verdict]uint64{}
	for _, p := range []config.Protocol{config.TCP, config.UDP} {
		ended[p] = map[Verdict]uint64{}
		for v := range Verdicts {
			add(ended[p], v, t.ended[index(p)][v].Load())
		}
		arrived[p] = t.arrived[index(p)].Load() // after those that have ended: none is ended and not arrived
	}
	return arrived, ended
}
