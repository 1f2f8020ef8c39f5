package flow

import (
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// takeClientPlace decides by max_flows_per_client. It takes nothing: a client's flows are counted
// when they are inserted.
func (t *Table[S]) takeClientPlace(r *route.Route, k Key, now time.Duration) (route.Verdict, *Flow[S]) {
	of := kindOf(ownsSocket(r.Route, r.ProxyProtocol == config.ProxySPP, k))
	c, most := t.evictions.kinds[of].clients[clientOfKind(k.Client, r)], t.opt.Limits.PerClient.of(of)
	if r.MaxFlowsPerClient > 0 {
		most = r.MaxFlowsPerClient
	}
	if c == nil || c.flows < most {
		return route.Admitted, nil
	}
	if verdict := r.Open(k.Client.AddrPort().Addr()); verdict != route.Admitted { // it is refused anyway
		return verdict, nil
	}
	return route.OverClientFlows, c.next(now - t.opt.Patience)
}

// takeRoutePlace decides by allow, deny and the limits of the route, and takes a place there.
func (t *Table[S]) takeRoutePlace(r *route.Route, k Key, now time.Duration) (route.Verdict, *Flow[S]) {
	verdict := r.Admit(config.UDP, k.Client.AddrPort().Addr())
	all := t.evictions.ofRoute[r.Stats]
	if all == nil {
		return verdict, nil
	}
	switch own := clientOfRoute(k.Client); verdict {
	case route.OverMaxFlows, route.OverMaxConns:
		return verdict, all.next(own)
	case route.OverMaxPerClient:
		if c := all.clients[own]; c != nil {
			return verdict, c.next(now - t.opt.Patience)
		}
	}
	return verdict, nil
}

// takeTablePlace takes a place among all flows.
func (t *Table[S]) takeTablePlace(f *Flow[S]) (route.Verdict, *Flow[S]) {
	if t.opt.Limits.Flows.Take(1) {
		return route.Admitted, nil
	}
	return route.OverMaxFlows, t.evictions.fullest(kindOf(f.OwnsSocket())).next(clientOfKind(f.Key.Client, f.Route))
}

// takeSocketPlace takes a place among the flows that own a socket, if f does.
func (t *Table[S]) takeSocketPlace(f *Flow[S]) (route.Verdict, *Flow[S]) {
	if !f.OwnsSocket() || t.opt.Limits.Sockets.Take() {
		return route.Admitted, nil
	}
	if t.opt.Limits.Sockets.Files.Overdrawn() { // after the limit was lowered no eviction makes room
		return route.OverMaxFlows, nil
	}
	return route.OverMaxFlows, t.evictions.kinds[owning].next(clientOfKind(f.Key.Client, f.Route))
}

// giveBack gives back the places of f in the table.
func (t *Table[S]) giveBack(f *Flow[S]) {
	t.opt.Limits.Flows.Give(1)
	if f.OwnsSocket() {
		t.opt.Limits.Sockets.Give()
	}
}

// EvictFor returns the flow to evict for f, which was admitted and met the end of the files or ports
// before a bound of the table: one that has what f lacks, or nil.
func (t *Table[S]) EvictFor(f *Flow[S], verdict route.Verdict) *Flow[S] {
	switch {
	case verdict == route.OutOfFiles, verdict == route.OutOfPorts && f.OwnsSocket():
		return t.evictions.kinds[owning].next(clientOfKind(f.Key.Client, f.Route))
	case verdict == route.OutOfPorts && t.evictions.ofRoute[f.Route.Stats] != nil: // ports of egress_prefixes
		return t.evictions.ofRoute[f.Route.Stats].next(clientOfRoute(f.Key.Client))
	}
	return nil
}
