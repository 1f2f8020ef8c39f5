package udp

import (
	"container/heap"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/header"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// begin is the birth of every flow, or says why there is none.
func (t *table) begin(k key, now time.Duration) (*flow, route.Verdict) {
	client, dst := k.client.AddrPort(), k.dst.AddrPort()
	r := t.routes.Set().Lookup(config.UDP, dst)
	verdict := t.admit(r, k, now)
	if verdict != route.Admitted {
		return nil, t.refuse(r, client, dst, verdict, now)
	}
	f := &flow{key: k, route: r, counters: r.Stats.Shard(t.shard), begun: now, last: now}
	verdict = t.equip(f, now)
	if t.evict(t.holder(verdict, f), now) {
		verdict = t.equip(f, now)
	}
	if verdict != route.Admitted {
		r.Release(config.UDP, client.Addr())
		return nil, t.refuse(r, client, dst, verdict, now)
	}
	t.crowds.join(f)
	t.place(f)
	return f, route.Admitted
}

// place puts f, which lacks nothing, into the table.
func (t *table) place(f *flow) {
	t.flows[f.key] = f
	f.due, _ = f.end()
	heap.Push(&t.byDue, f)
}

// admit decides by all that is known before anything is opened.
func (t *table) admit(r *route.Route, k key, now time.Duration) route.Verdict {
	client, dst := k.client.AddrPort(), k.dst.AddrPort()
	switch {
	case client.Port() == 0 || dst.Port() == 0:
		return route.PortZero
	case r == nil:
		return route.NoRoute
	case t.draining:
		return route.Draining
	case config.Responder(client.Port(), dst.Port()):
		return route.Responder
	case t.replies.voices.has(client):
		return route.Looped
	}
	return t.admitTo(r, k, now)
}

// refuse counts a datagram that began no flow.
func (t *table) refuse(r *route.Route, client, dst netip.AddrPort, v route.Verdict, now time.Duration) route.Verdict {
	name, stats := "", t.routes.Unrouted
	if r != nil {
		name, stats = r.Name, r.Stats
	}
	counters := stats.Shard(t.shard)
	counters.Datagrams(route.ToOrigin, v, 1)
	if v == route.PortZero { // no flow could ever be: nothing to log
		return v
	}
	counters.End(config.UDP, v)
	t.log(route.Record{Begun: t.epoch.Add(now), Protocol: config.UDP, Route: name, Client: client, Dst: dst, Verdict: v})
	return v
}

// equip gives a flow its place, its header and its sockets, or leaves it none.
func (t *table) equip(f *flow, now time.Duration) route.Verdict {
	var err error
	if f.header, err = header.Datagram(f.route.ProxyProtocol, f.client(), f.dst()); err != nil {
		return route.HeaderFailed
	}
	f.headerOnce = f.route.ProxyProtocol == config.ProxyV2First
	f.spp = f.route.ProxyProtocol == config.ProxySPP
	if !t.room(f, now) {
		return route.OverMaxFlows
	}
	verdict := t.connect(f, now)
	if verdict != route.Admitted {
		t.giveRoom(f)
	}
	return verdict
}

// connect gives a flow its sockets, or none.
func (t *table) connect(f *flow, now time.Duration) (verdict route.Verdict) {
	var err error
	if f.reply, err = t.replies.acquire(f.dst()); err != nil {
		t.report(now, "no socket can answer from dst, so the flow is refused", "dst", f.dst(), "error", err)
		return cause(err, route.RelayFailed)
	}
	if verdict = t.reach(f, nil, now); verdict != route.Admitted {
		t.replies.release(f.reply)
	}
	return verdict
}

// reach gives f a socket to the first of its route's origins that can be dialled, those tried
// before left out. To dial sends nothing: an origin that is down is met later, by an ICMP error.
func (t *table) reach(f *flow, tried []*origin.Origin, now time.Duration) route.Verdict {
	verdict := route.NoOrigin
	for ; ; tried = append(tried, f.origin) {
		if f.origin = f.route.Origins.PickWilling(f.client().Addr(), f.key.dst.Port, tried, t.epoch.Add(now)); f.origin == nil {
			return verdict
		}
		t.dials++
		f.generation = t.dials
		err := t.sockets.dial(f, f.originAddr())
		if err == nil {
			f.origin.Begin()
			return route.Admitted
		}
		t.report(now, "an origin can't be dialled", "route", f.route.Name, "origin", f.originAddr(), "error", err)
		verdict = cause(err, route.ConnectFailed)
	}
}

// cause is the verdict for a socket that could not be had.
func cause(err error, otherwise route.Verdict) route.Verdict {
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return route.OutOfFiles
	case errors.Is(err, call.ErrNoPort):
		return route.OutOfPorts
	}
	return otherwise
}
