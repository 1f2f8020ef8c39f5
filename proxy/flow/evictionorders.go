package flow

import (
	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/client"
	"anyport/proxy/route"
)

// evictionOrders are those of one table. Each flow is in that of all flows of its kind, and in that
// of its route, if the route has a bound.
type evictionOrders[S any] struct {
	kinds   [kinds]evictionOrder[S]
	ofRoute map[*route.Stats]*evictionOrder[S]
}

// kind tells flows that own a socket, of which files and ports allow fewer, from the others.
type kind uint8

const (
	owning kind = iota
	sharing
	kinds
)

func kindOf(ownsSocket bool) kind {
	if ownsSocket {
		return owning
	}
	return sharing
}

// bounded reports whether the flows of r share a bound that flows of other routes do not.
func bounded(r *config.Route) bool {
	return r.MaxFlows > 0 || r.MaxConns > 0 || r.MaxConnsPerClient > 0 || len(r.EgressPrefixes) > 0
}

// clientOfRoute is a client among the flows of a route.
func clientOfRoute(e call.Endpoint) clientKey {
	return clientKey{client: client.Of(e.AddrPort().Addr()).As16()}
}

// clientOfKind is a client among the flows of a kind.
func clientOfKind(e call.Endpoint, r *route.Route) clientKey {
	k := clientOfRoute(e)
	if r.MaxFlowsPerClient > 0 {
		k.route = r.Stats
	}
	return k
}

// add takes in a new flow, which is unanswered.
func (o *evictionOrders[S]) add(f *Flow[S]) {
	f.entry.flow = f
	o.kinds[kindOf(f.OwnsSocket())].add(&f.entry, clientOfKind(f.Key.Client, f.Route))
	if !bounded(f.Route.Route) {
		return
	}
	all := o.ofRoute[f.Route.Stats]
	if all == nil {
		all = &evictionOrder[S]{}
		o.ofRoute[f.Route.Stats] = all
	}
	f.routeEntry = &entry[S]{flow: f}
	all.add(f.routeEntry, clientOfRoute(f.Key.Client))
}

// each calls what with the orders of f, and its entry in each.
func (o *evictionOrders[S]) each(f *Flow[S], what func(*evictionOrder[S], *entry[S])) {
	what(&o.kinds[kindOf(f.OwnsSocket())], &f.entry)
	if f.routeEntry != nil {
		what(o.ofRoute[f.Route.Stats], f.routeEntry)
	}
}

// answered notes the first reply of a flow.
func (o *evictionOrders[S]) answered(f *Flow[S]) {
	o.each(f, (*evictionOrder[S]).markAnswered)
	f.stage = Answered
}

// validated notes that the client of a flow is validated.
func (o *evictionOrders[S]) validated(f *Flow[S]) {
	o.each(f, (*evictionOrder[S]).markValidated)
	f.stage = Validated
}

// remove takes a flow out, at its end.
func (o *evictionOrders[S]) remove(f *Flow[S]) {
	o.each(f, (*evictionOrder[S]).remove)
	if f.routeEntry != nil && len(o.ofRoute[f.Route.Stats].clients) == 0 {
		delete(o.ofRoute, f.Route.Stats)
	}
}

// fullest is the order of a kind to evict from where the bound of all flows is reached: the one
// with the oldest unanswered flow, or else with the client that has most. Of equals it is the new
// flow's own kind.
func (o *evictionOrders[S]) fullest(own kind) *evictionOrder[S] {
	mine, other := &o.kinds[own], &o.kinds[1-own]
	switch a, b := mine.unanswered.oldest, other.unanswered.oldest; {
	case a != nil && (b == nil || a.flow.begun <= b.flow.begun):
		return mine
	case b != nil:
		return other
	}
	if b := other.answered.Largest(); b != nil {
		if a := mine.answered.Largest(); a == nil || a.Held() < b.Held() {
			return other
		}
	}
	return mine
}

// inOrder yields the flows that can be evicted, unanswered ones first, and those of each client in
// their order.
func (o *evictionOrders[S]) inOrder(yield func(*Flow[S]) bool) {
	for i := range o.kinds {
		for e := o.kinds[i].unanswered.oldest; e != nil; e = e.links[ofOrder].newer {
			if !yield(e.flow) {
				return
			}
		}
	}
	for i := range o.kinds {
		for _, c := range o.kinds[i].clients {
			for e := c.answered.oldest; e != nil; e = e.links[ofClient].newer {
				if !yield(e.flow) {
					return
				}
			}
		}
	}
}
