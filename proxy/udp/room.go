package udp

import (
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// clientShare is the part of all flows that one client may hold on the routes that do not
// say otherwise: one in sixteen.
const clientShare = 16

// mostPerClient are the flows of each kind that a client may hold on these routes. The process
// holds flows at most, and sockets of them with a socket of their own. The kernel chooses the
// worker by the client's address, or by the /64 of an IPv6 address (bpf/steer.bpf.c): all flows
// of a client are in one loop, so each loop counts alone.
func mostPerClient(flows, sockets int) (most [kinds]int) {
	most[owning] = max(1, min(flows, sockets)/clientShare)
	most[sharing] = max(1, flows/clientShare)
	return most
}

// MostPerClient is how many flows one client may hold on routes that do not say: of those with a socket of
// their own, and of the others.
func MostPerClient(flows, sockets int) (withSocket, without int) {
	most := mostPerClient(flows, sockets)
	return most[owning], most[sharing]
}

// answerPatience is how long a question may wait for its answer: most resolvers ask again after it.
const answerPatience = time.Second

// admitTo decides by the bounds of r and of the client. Where one is reached, a flow gives way.
func (t *table) admitTo(r *route.Route, k key, now time.Duration) route.Verdict {
	if verdict := t.admitClient(r, k, now); verdict != route.Admitted {
		return verdict
	}
	from := k.client.AddrPort().Addr()
	verdict := r.Admit(config.UDP, from)
	if t.evict(t.givesWay(verdict, r, k, now), now) {
		return r.Admit(config.UDP, from)
	}
	return verdict
}

// admitClient decides by max_flows_per_client, before any other bound has a flow of another
// client give way in vain.
func (t *table) admitClient(r *route.Route, k key, now time.Duration) route.Verdict {
	of := kindOf(ownsSocket(r.Route, r.ProxyProtocol == config.ProxySPP, k.client))
	m, most := t.crowds.kinds[of].members[kindKey(k.client, r)], t.mostPerClient[of]
	if r.MaxFlowsPerClient > 0 {
		most = r.MaxFlowsPerClient
	}
	if m == nil || m.flows < most {
		return route.Admitted
	}
	if verdict := r.Open(k.client.AddrPort().Addr()); verdict != route.Admitted {
		return verdict
	}
	if !t.evict(m.first(now-t.patience), now) || m.flows >= most { // a reload has lowered the bound
		return route.OverClientFlows
	}
	return route.Admitted
}

// givesWay is the flow that gives way to a new one of k to r, which met a bound of r.
func (t *table) givesWay(verdict route.Verdict, r *route.Route, k key, now time.Duration) *flow {
	all := t.crowds.ofRoute[r.Stats]
	if all == nil {
		return nil
	}
	switch own := clientKey(k.client); verdict {
	case route.OverMaxFlows, route.OverMaxConns:
		return all.first(own)
	case route.OverMaxPerClient:
		if m := all.members[own]; m != nil {
			return m.first(now - t.patience)
		}
	}
	return nil
}

// room takes a place for f, if need be that of a flow that gives way. Where there is one, it
// is to be given back.
func (t *table) room(f *flow, now time.Duration) bool {
	own := kindKey(f.key.client, f.route)
	if !t.may.Take(1) && !(t.evict(t.crowds.fullest(kindOf(f.owns())).first(own), now) && t.may.Take(1)) {
		return false
	}
	if f.owns() && !t.mayOwn.take() && !(t.evict(t.crowds.kinds[owning].first(own), now) && t.mayOwn.take()) {
		t.may.Give(1)
		return false
	}
	return true
}

// giveRoom gives back f's place.
func (t *table) giveRoom(f *flow) {
	t.may.Give(1)
	if f.owns() {
		t.mayOwn.give()
	}
}

// holder is the flow that gives way to f, which met the end of the files or ports before the
// table's bound: one that has what f lacks.
func (t *table) holder(verdict route.Verdict, f *flow) *flow {
	switch {
	case verdict == route.OutOfFiles, verdict == route.OutOfPorts && f.owns():
		return t.crowds.kinds[owning].first(kindKey(f.key.client, f.route))
	case verdict == route.OutOfPorts && t.crowds.ofRoute[f.route.Stats] != nil: // those of egress_prefixes
		return t.crowds.ofRoute[f.route.Stats].first(clientKey(f.key.client))
	}
	return nil
}

// evict ends the flow that gives way, if there is one.
func (t *table) evict(f *flow, now time.Duration) bool {
	if f == nil {
		return false
	}
	t.end(f, route.Evicted, now)
	return true
}
