package udp

import (
	"net/netip"

	"anyport/proxy/route"
)

// scope is one of the bounds that a flow counts against.
type scope uint8

const (
	everywhere scope = iota // max_flows of all routes
	owning                  // what files and ports there are, if it has a socket of its own
	ofRoute                 // max_flows and max_conns of its route
	ofClient                // max_conns_per_client of its route
	scopes
)

// crowd is the flows that share a bound. What its scope does not ask about is zero.
type crowd struct {
	scope  scope
	route  *route.Stats
	client netip.Addr
}

func crowdOf(s scope, r *route.Route, client netip.Addr) crowd {
	switch s {
	case ofRoute:
		return crowd{scope: s, route: r.Stats}
	case ofClient:
		return crowd{s, r.Stats, client}
	}
	return crowd{scope: s}
}

// unanswered is the flows without a reply so far: they give way to new ones. Each
// crowd has a line, oldest first, threaded through its flows, so that none is
// searched for, however many spoofed ones there are.
type unanswered struct {
	lines map[crowd]*line
	spare []*places
}

type line struct{ oldest, newest *flow }

type place struct{ older, newer *flow }

// places are those of one flow, by scope. They are apart from it, for most flows are
// answered at once, and live long after that.
type places [scopes]place

// sparePlaces is how many are kept for the next flows, 64 KiB of them.
const sparePlaces = 1024

// oldest is the one of c that gives way first, or nil.
func (u *unanswered) oldest(c crowd) *flow {
	if l := u.lines[c]; l != nil {
		return l.oldest
	}
	return nil
}

// after is the next younger flow of all.
func (f *flow) after() *flow { return f.places[everywhere].newer }

// add appends f.
func (u *unanswered) add(f *flow) {
	f.answered, f.places = false, u.newPlaces()
	for s := range f.scopes {
		c := crowdOf(s, f.route, f.client().Addr())
		l := u.lines[c]
		if l == nil {
			l = &line{}
			u.lines[c] = l
		}
		f.places[s] = place{older: l.newest}
		if l.newest == nil {
			l.oldest = f
		} else {
			l.newest.places[s].newer = f
		}
		l.newest = f
	}
}

func (u *unanswered) newPlaces() *places {
	last := len(u.spare) - 1
	if last < 0 {
		return &places{}
	}
	p := u.spare[last]
	u.spare = u.spare[:last]
	return p
}

// remove takes f out, once it is answered, or has ended without.
func (u *unanswered) remove(f *flow) {
	for s := range f.scopes {
		c := crowdOf(s, f.route, f.client().Addr())
		l, at := u.lines[c], f.places[s]
		if at.older == nil {
			l.oldest = at.newer
		} else {
			at.older.places[s].newer = at.newer
		}
		if at.newer == nil {
			l.newest = at.older
		} else {
			at.newer.places[s].older = at.older
		}
		if l.oldest == nil {
			delete(u.lines, c)
		}
	}
	if *f.places = (places{}); len(u.spare) < sparePlaces {
		u.spare = append(u.spare, f.places)
	}
	f.answered, f.places = true, nil
}

// scopes yields the bounds of f. To have a line for each client takes memory, and serves
// a bound that few routes have.
func (f *flow) scopes(yield func(scope) bool) {
	_ = yield(everywhere) && (!f.owns() || yield(owning)) && yield(ofRoute) && (f.route.MaxConnsPerClient == 0 || yield(ofClient))
}

// rivals are the flows that have what f lacks to begin.
func (f *flow) rivals() crowd {
	if f.owns() {
		return crowd{scope: owning}
	}
	return crowdOf(ofRoute, f.route, f.client().Addr())
}

// owns reports whether f has a socket of its own.
func (f *flow) owns() bool { return len(f.route.EgressPrefixes) == 0 && !f.shares() }
