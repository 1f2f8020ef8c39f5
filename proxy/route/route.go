package route

import (
	"net/netip"
	"sync/atomic"
	"time"

	"anyport/config"
	"anyport/proxy/origin"
)

// Route is a route in service. It is safe for concurrent use. Conns and flows hold it until they end,
// also when a reload has replaced it.
type Route struct {
	*config.Route
	Stats *Stats

	tally    *Tally                      // nil: see Share
	origins  atomic.Pointer[origin.Pool] // another one whenever a DNS name has other addresses
	rates    *clientRates                // nil: no new_conns_per_second_per_client
	clients  *config.Clients             // the kernel asks it first; here it stops what came in just before a reload
	peers    *config.Clients             // with accept_proxy, the kernel asks this one instead; without, nil
	heldBack atomic.Bool                 // an answer was held back, and the log has said so
}

// newRoute keeps the counters and origins of old, the route that had the name before, or nil.
func newRoute(c *config.Route, old *Route, shards int, members Members) *Route {
	r := &Route{Route: c, clients: c.Named()}
	if c.NamesClients() {
		r.peers = c.Peers()
	}
	var before *origin.Pool
	if old == nil {
		r.Stats = newStats(shards)
	} else {
		r.Stats, before = old.Stats, old.Origins()
	}
	r.origins.Store(origin.NewPoolOf(c, members(c), before))
	return r
}

// CountArrival counts a new conn or flow, in the counters of one event loop.
func (r *Route) CountArrival(loop int, p config.Protocol) {
	r.Stats.Shard(loop).Arrive(p)
	r.tally.arrive(p)
}

// CountEnd counts a conn or flow that has ended, or was never begun.
func (r *Route) CountEnd(loop int, p config.Protocol, v Verdict) {
	r.Stats.Shard(loop).End(p, v)
	r.tally.end(p, v)
}

// Origins returns the origins as they are now.
func (r *Route) Origins() *origin.Pool { return r.origins.Load() }

// renewOrigins replaces the origins by members. pools are those of all routes in service with r's name.
func (r *Route) renewOrigins(members []origin.Member, pools []*origin.Pool) {
	old := r.Origins()
	p := origin.NewPoolOf(r.Route, members, old, pools...)
	p.KeepWeights(old)
	r.origins.Store(p)
}

// Admit takes a new conn or flow of client into r, or returns the verdict that refuses it. After
// Admitted the caller owes one Release with the same arguments.
func (r *Route) Admit(protocol config.Protocol, client netip.Addr) Verdict {
	if v := r.Open(client); v != Admitted {
		return v
	}
	if !r.takeRate(client, 0) { // it is counted last, but nothing may be evicted for what is refused after all
		return OverClientRate
	}
	v := r.Stats.acquire(r.Route, protocol, client)
	if v == Admitted && !r.takeRate(client, 1) { // another loop was faster
		r.Release(protocol, client)
		return OverClientRate
	}
	return v
}

// takeRate counts n new conns of a client against new_conns_per_second_per_client.
func (r *Route) takeRate(client netip.Addr, n int) bool {
	return r.rates == nil || r.rates.take(r.Name, client, n, r.NewConnsPerSecondPerClient, time.Since(epoch))
}

// Unadmit undoes Admit for a conn or flow that is not begun after all.
func (r *Route) Unadmit(protocol config.Protocol, client netip.Addr) {
	r.Release(protocol, client)
	if r.rates != nil {
		r.rates.giveBack(r.Name, client, r.NewConnsPerSecondPerClient)
	}
}

// Open is Admit without the limits: nothing is counted, and nothing is owed.
func (r *Route) Open(client netip.Addr) Verdict {
	switch {
	case !r.clients.Admits(client):
		return Denied
	case r.Stats.draining.Load():
		return Draining
	case r.Stats.inactive.Load():
		return Inactive
	}
	return Admitted
}

// AdmitPeer is Admit for a conn whose PROXY header has not come yet: the limits of the client that it
// will name are AdmitNamed's. After Admitted the caller owes one ReleasePeer, or if AdmitNamed has
// admitted the client, one Release.
func (r *Route) AdmitPeer(protocol config.Protocol, peer netip.Addr) Verdict {
	switch {
	case !r.Trusts(peer):
		return UntrustedPeer
	case r.Stats.draining.Load():
		return Draining
	case r.Stats.inactive.Load():
		return Inactive
	}
	return r.Stats.acquirePlace(r.Route, protocol)
}

// AdmitNamed decides on the client that the header of an admitted peer names.
func (r *Route) AdmitNamed(client netip.Addr) Verdict {
	if !r.clients.Admits(client) {
		return Denied
	}
	if !r.takeRate(client, 0) { // counted last, as in Admit
		return OverClientRate
	}
	v := r.Stats.acquireClient(r.Route, client)
	if v == Admitted && !r.takeRate(client, 1) {
		r.Stats.releaseClient(r.Route, client)
		return OverClientRate
	}
	return v
}

// Trusts reports whether peer may name the client of a conn or datagram.
func (r *Route) Trusts(peer netip.Addr) bool { return r.NamesClients() && r.peers.Admits(peer) }

// ReleasePeer ends what AdmitPeer began.
func (r *Route) ReleasePeer(protocol config.Protocol) { r.Stats.releasePlace(protocol) }

// FirstHeldBack reports true once: for the first answer that is held back since r came into service,
// which the log has to mention.
func (r *Route) FirstHeldBack() bool { return !r.heldBack.Load() && !r.heldBack.Swap(true) }

// Readmit takes a conn or flow that another process had admitted, whatever the limits are now: as
// after a reload, live ones stay. The caller owes one Release.
func (r *Route) Readmit(protocol config.Protocol, client netip.Addr) {
	r.Stats.readmit(r.Route, protocol, client)
}

// ReadmitPeer is Readmit for a conn that AdmitPeer had admitted.
func (r *Route) ReadmitPeer(protocol config.Protocol) { r.Stats.readmitPlace(protocol) }

// Release ends what Admit or Readmit began.
func (r *Route) Release(protocol config.Protocol, client netip.Addr) {
	r.Stats.release(r.Route, protocol, client)
}
