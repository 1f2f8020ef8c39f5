package route

import (
	"net/netip"
	"sync/atomic"

	"anyport/config"
	"anyport/proxy/origin"
)

// Route is a route in service. It is safe for concurrent use. Conns and flows hold it until they end,
// also when a reload has replaced it.
type Route struct {
	*config.Route
	Stats *Stats

	origins  atomic.Pointer[origin.Pool] // another one whenever a DNS name has other addresses
	clients  *config.Clients             // the kernel asks it first; here it stops what came in just before a reload
	heldBack atomic.Bool                 // an answer was held back, and the log has said so
}

// newRoute keeps the counters and origins of old, the route that had the name before, or nil.
func newRoute(c *config.Route, old *Route, shards int, members Members) *Route {
	r := &Route{Route: c, clients: config.NewClients(c.Allow, c.Deny)}
	var before *origin.Pool
	if old == nil {
		r.Stats = newStats(shards)
	} else {
		r.Stats, before = old.Stats, old.Origins()
	}
	r.origins.Store(origin.NewPoolOf(c, members(c), before))
	return r
}

// Origins returns the origins as they are now.
func (r *Route) Origins() *origin.Pool { return r.origins.Load() }

// renewOrigins replaces the origins by members.
func (r *Route) renewOrigins(members []origin.Member) {
	old := r.Origins()
	p := origin.NewPoolOf(r.Route, members, old)
	p.KeepWeights(old)
	r.origins.Store(p)
}

// Admit takes a new conn or flow of client into r, or returns the verdict that refuses it. After
// Admitted the caller owes one Release with the same arguments.
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

// FirstHeldBack reports true once: for the first answer that is held back since r came into service,
// which the log has to mention.
func (r *Route) FirstHeldBack() bool { return !r.heldBack.Load() && !r.heldBack.Swap(true) }

// Readmit takes a conn or flow that another process had admitted, whatever the limits are now: as
// after a reload, live ones stay. The caller owes one Release.
func (r *Route) Readmit(protocol config.Protocol, client netip.Addr) {
	r.Stats.readmit(r.Route, protocol, client)
}

// Release ends what Admit or Readmit began.
func (r *Route) Release(protocol config.Protocol, client netip.Addr) {
	r.Stats.release(r.Route, protocol, client)
}
