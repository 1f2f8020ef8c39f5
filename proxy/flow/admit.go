package flow

import (
	"slices"
	"time"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

// Admission is one datagram that asks to begin a flow, on its way through the bounds. The caller
// sets Key, and leaves the rest to Admit.
type Admission[S any] struct {
	Key  Key
	TLVs []byte   // of the datagram's header, if it has one
	Flow *Flow[S] // once it is admitted

	route   *route.Route
	step    step // the next one
	evicted bool // a flow was evicted for this step
}

// step is one thing that a new flow needs, in their order: bounds of the client come first, so that
// no flow of another client is evicted for one that is refused after all.
type step uint8

const (
	rules       step = iota // a route, and addresses that may begin a flow at all
	clientPlace             // max_flows_per_client
	routePlace              // allow, deny and the limits of the route
	tablePlace              // a header, and a place among all flows
	socketPlace             // a place among the flows that own a socket
	admitted
)

// Admit decides whether a datagram begins a flow. Where a bound is reached, it returns a flow to
// evict: the caller ends it, and calls Admit again, which goes on from there. One flow is evicted
// for each bound at most. Without a flow to evict the verdict is final: Admitted, with a flow that
// the caller owes an Insert or an Abandon; any other is counted and recorded here.
func (t *Table[S]) Admit(a *Admission[S], now time.Duration) (evict *Flow[S], verdict route.Verdict) {
	for a.step < admitted {
		verdict, evict = t.take(a, now)
		switch {
		case verdict == route.Admitted:
			a.step, a.evicted = a.step+1, false
		case evict != nil && !a.evicted:
			a.evicted = true
			return evict, verdict
		default:
			t.giveBackSteps(a)
			return nil, t.refuse(a.route, a.Key, verdict, now)
		}
	}
	return nil, route.Admitted
}

// take takes what one step needs, or says why not, and which flow has to be evicted for it.
func (t *Table[S]) take(a *Admission[S], now time.Duration) (route.Verdict, *Flow[S]) {
	switch a.step {
	case rules:
		a.route = t.opt.Routes.Set().Lookup(config.UDP, a.Key.ReplyTo().AddrPort().Addr(), a.Key.Dst.AddrPort())
		return t.byRules(a.route, a.Key), nil
	case clientPlace:
		return t.takeClientPlace(a.route, a.Key, now)
	case routePlace:
		return t.takeRoutePlace(a.route, a.Key, now)
	case tablePlace:
		if a.Flow == nil {
			a.Flow = &Flow[S]{ID: t.ids.Next(), Key: a.Key, Route: a.route, Counters: a.route.Stats.Shard(t.opt.Shard), begun: now, last: now}
			if err := a.Flow.setHeader(a.TLVs); err != nil {
				return route.HeaderFailed, nil
			}
		}
		return t.takeTablePlace(a.Flow)
	default:
		return t.takeSocketPlace(a.Flow)
	}
}

// giveBackSteps gives back what the steps before the one that failed have taken.
func (t *Table[S]) giveBackSteps(a *Admission[S]) {
	if a.step > tablePlace {
		t.opt.Limits.Flows.Give(1)
	}
	if a.step > routePlace {
		a.route.Unadmit(config.UDP, a.Key.Client.AddrPort().Addr())
	}
	a.Flow = nil
}

// byRules decides by what no eviction changes.
func (t *Table[S]) byRules(r *route.Route, k Key) route.Verdict {
	client, dst := k.Client.AddrPort(), k.Dst.AddrPort()
	switch {
	case client.Port() == 0 || dst.Port() == 0:
		return route.PortZero
	case r == nil:
		return route.NoRoute
	case t.draining:
		return route.Draining
	case k.named() != r.NamesClients(): // a reload has changed accept_proxy while it waited
		return route.BadHeader
	case k.named() && t.opt.Replies.Has(k.peer()):
		return route.Looped
	case config.Responder(client.Port(), dst.Port()):
		return route.Responder
	case t.opt.Replies.Has(client):
		return route.Looped
	}
	return route.Admitted
}

// setHeader gives a new flow, or one that goes to another origin, the header that its route wants.
func (f *Flow[S]) setHeader(tlvs []byte) error {
	if f.Route.NamesConns() { // unless a peer has named it, the origin knows it by the id of the log
		tlvs = header.WithUniqueID(tlvs, []byte(f.ID.String()))
	}
	h, err := header.DatagramOf(f.Route.Route, f.Client(), f.Key.headerDst(), tlvs)
	if err != nil {
		return err
	}
	if f.lead, f.spp = nil, f.Route.ProxyProtocol == config.ProxySPP; len(h) > 0 && !f.spp {
		f.lead = &lead{header: h, once: f.Route.ProxyProtocol == config.ProxyV2First}
		if len(f.Route.ProxyTLVs) > 0 {
			f.lead.tlvs = header.WithUniqueID(slices.Clone(tlvs), header.UniqueIDOf(h)) // they point into the buffer that datagrams are read into
		}
	}
	return nil
}

// refuse counts and records a datagram that began no flow.
func (t *Table[S]) refuse(r *route.Route, k Key, v route.Verdict, now time.Duration) route.Verdict {
	name, stats := "", t.opt.Routes.Unrouted
	if r != nil {
		name, stats = r.Name, r.Stats
	}
	counters := stats.Shard(t.opt.Shard)
	counters.Datagrams(route.ToOrigin, v, 1)
	if v == route.PortZero { // it can never begin a flow: there is nothing to record
		return v
	}
	if r != nil {
		r.CountArrival(t.opt.Shard, config.UDP)
		r.CountEnd(t.opt.Shard, config.UDP, v)
	} else {
		counters.Arrive(config.UDP)
		counters.End(config.UDP, v)
	}
	t.record(route.Record{
		Begun: t.opt.Epoch.Add(now), Protocol: config.UDP, Route: name,
		Client: k.Client.AddrPort(), Peer: k.peer(), Dst: k.Dst.AddrPort(), Verdict: v,
	})
	return v
}

// Abandon gives back the places of a flow that was admitted, and then got no sockets. It is counted
// and recorded as refused.
func (t *Table[S]) Abandon(f *Flow[S], v route.Verdict, now time.Duration) {
	t.giveBack(f)
	f.Route.Release(config.UDP, f.Client().Addr())
	t.refuse(f.Route, f.Key, v, now)
}
