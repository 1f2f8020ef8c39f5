package udp

import (
	"anyport/config"
	"anyport/proxy/client"
	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// crowds are those of one loop. Each flow is in that of all flows of its kind, and in that
// of its route, if the route has a bound.
type crowds struct {
	kinds   [kinds]crowd
	ofRoute map[*route.Stats]*crowd
}

// kind tells flows with a socket of their own, of which files and ports allow fewer, from
// those without.
type kind uint8

const (
	owning kind = iota
	sharing
	kinds
)

func kindOf(owns bool) kind {
	if owns {
		return owning
	}
	return sharing
}

// bounded reports whether the flows of r share a bound that other routes' flows do not.
func bounded(r *config.Route) bool {
	return r.MaxFlows > 0 || r.MaxConns > 0 || r.MaxConnsPerClient > 0 || len(r.EgressPrefixes) > 0
}

// clientKey is a client among the flows of a route.
func clientKey(e datagram.Endpoint) memberKey {
	return memberKey{client: client.Of(e.AddrPort().Addr()).As16()}
}

// kindKey is a client among the flows of a kind.
func kindKey(e datagram.Endpoint, r *route.Route) memberKey {
	k := clientKey(e)
	if r.MaxFlowsPerClient > 0 {
		k.route = r.Stats
	}
	return k
}

// join takes in a flow that has just begun.
func (c *crowds) join(f *flow) {
	f.standing.flow = f
	c.kinds[kindOf(f.owns())].join(&f.standing, kindKey(f.key.client, f.route))
	if !bounded(f.route.Route) {
		return
	}
	all := c.ofRoute[f.route.Stats]
	if all == nil {
		all = &crowd{}
		c.ofRoute[f.route.Stats] = all
	}
	f.inRoute = &standing{flow: f}
	all.join(f.inRoute, clientKey(f.key.client))
}

// each calls what with the crowds of f, and its place in each.
func (c *crowds) each(f *flow, what func(*crowd, *standing)) {
	what(&c.kinds[kindOf(f.owns())], &f.standing)
	if f.inRoute != nil {
		what(c.ofRoute[f.route.Stats], f.inRoute)
	}
}

// answered moves on a flow that has its first reply.
func (c *crowds) answered(f *flow) {
	c.each(f, (*crowd).answered)
	f.stage = answered
}

// shown moves on a flow whose client has shown that it is there.
func (c *crowds) shown(f *flow) {
	c.each(f, (*crowd).shown)
	f.stage = shown
}

// leave takes a flow out, at its end.
func (c *crowds) leave(f *flow) {
	c.each(f, (*crowd).leave)
	if f.inRoute != nil && len(c.ofRoute[f.route.Stats].members) == 0 {
		delete(c.ofRoute, f.route.Stats)
	}
}

// fullest is the crowd of a kind from which a flow gives way where all flows are too many:
// the one with the oldest flow without an answer, or else with the client that has most. The
// newcomer's own kind is preferred.
func (c *crowds) fullest(own kind) *crowd {
	mine, other := &c.kinds[own], &c.kinds[1-own]
	switch a, b := mine.unanswered.oldest, other.unanswered.oldest; {
	case a != nil && (b == nil || a.flow.begun <= b.flow.begun):
		return mine
	case b != nil:
		return other
	}
	if b := other.unshown.Largest(); b != nil {
		if a := mine.unshown.Largest(); a == nil || a.Held() < b.Held() {
			return other
		}
	}
	return mine
}

// inOrder yields the flows that give way, those without an answer first, and of each client
// in their order.
func (c *crowds) inOrder(yield func(*flow) bool) {
	for i := range c.kinds {
		for s := c.kinds[i].unanswered.oldest; s != nil; s = s.links[ofCrowd].newer {
			if !yield(s.flow) {
				return
			}
		}
	}
	for i := range c.kinds {
		for _, m := range c.kinds[i].members {
			for s := m.unshown.oldest; s != nil; s = s.links[ofMember].newer {
				if !yield(s.flow) {
					return
				}
			}
		}
	}
}
