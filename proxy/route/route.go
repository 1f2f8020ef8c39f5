// Package route holds routes in service: a route of the file joined with its
// origins, its limits and what is counted of it.
//
// A reload makes new Routes. Conns and flows keep the Route they began with,
// while counters and origins go on under the route's name.
package route

import (
	"net/netip"
	"sync/atomic"

	"anyport/config"
	"anyport/proxy/origin"
)

// Route is a route in service. It is safe for concurrent use.
type Route struct {
	*config.Route
	Origins *origin.Pool
	Stats   *Stats

	clients *config.Clients // the kernel asks the same of a SYN: this finds who came in before a reload
	toldOf  atomic.Bool     // answers that were held back
}

func newRoute(c *config.Route, old *Route, shards int) *Route {
	r := &Route{Route: c, clients: config.NewClients(c.Allow, c.Deny)}
	if old == nil {
		r.Stats = newStats(shards)
		r.Origins = origin.NewPool(c, nil)
		return r
	}
	r.Stats = old.Stats
	r.Origins = origin.NewPool(c, old.Origins)
	return r
}

// Admit takes a new conn or flow of client into r, or says why not. Who is told
// Admitted owes one Release with the same arguments.
func (r *Route) Admit(protocol config.Protocol, client netip.Addr) Verdict {
	if v := r.Open(client); v != Admitted {
		return v
	}
	return r.Stats.acquire(r.Route, protocol, client)
}

// Open is Admit without the limits: nothing is counted, and nothing is owed.
func (r *Route) Open(client netip.Addr) Verdict {
	switch {
	case !r.clients.Admits(client):
		return Denied
	case r.Stats.draining.Load():
		return Draining
	}
	return Admitted
}

// FirstHeldBack reports true once: where an answer is held back for the first time since
// r came into service, the log has to say so.
func (r *Route) FirstHeldBack() bool { return !r.toldOf.Load() && !r.toldOf.Swap(true) }

// Readmit takes a flow that another process had admitted, whatever the limits say
// now: as after a reload, who is in stays in. Who calls it owes one Release.
func (r *Route) Readmit(protocol config.Protocol, client netip.Addr) {
	r.Stats.readmit(r.Route, protocol, client)
}

// Release ends what Admit or Readmit began.
func (r *Route) Release(protocol config.Protocol, client netip.Addr) {
	r.Stats.release(r.Route, protocol, client)
}
