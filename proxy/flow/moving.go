package flow

import (
	"fmt"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/route"
)

// Moving is a flow on its way from one process to another, as JSON. Its socket goes beside it. Names
// and meaning of the fields are what versions of the program understand of each other.
type Moving struct {
	Listener   int            `json:"listener"` // index
	ID         route.ID       `json:"id,omitempty"`
	Client     netip.AddrPort `json:"client"`
	Zone       uint32         `json:"zone,omitempty"` // the interface of a link-local client
	Dst        netip.AddrPort `json:"dst"`
	Route      string         `json:"route"`
	Origin     netip.AddrPort `json:"origin"`
	Header     []byte         `json:"header,omitempty"`   // before each datagram to the origin
	Peer       netip.AddrPort `json:"peer,omitzero"`      // that names the client, by a PROXY header
	NamedDst   netip.AddrPort `json:"named_dst,omitzero"` // and the dst
	TLVs       []byte         `json:"tlvs,omitempty"`     // of that header, if they may be passed on
	HeaderOnce bool           `json:"header_once,omitempty"`
	SPP        bool           `json:"spp,omitempty"`
	Egress     netip.AddrPort `json:"egress,omitzero"` // where it leaves from, if that is an egress prefix
	Begun      time.Time      `json:"begun"`
	Last       time.Time      `json:"last"`
	Answered   bool           `json:"answered,omitempty"`
	Turns      int            `json:"turns,omitempty"` // exchanges: see validation
	Heard      bool           `json:"heard,omitempty"` // the origin has sent since the client last did
	Shown      bool           `json:"shown,omitempty"` // the client is validated
	ToOrigin   uint64         `json:"to_origin"`       // bytes of payload
	ToClient   uint64         `json:"to_client"`
	Packets    [2]uint64      `json:"packets"` // datagrams, by direction
	Attempts   uint8          `json:"attempts,omitempty"`
	Kernel     bool           `json:"kernel,omitempty"` // the kernel has forwarded datagrams of it

	FD     int `json:"-"`      // the socket to the origin; with SPP or Egress other flows may have it, too
	Socket int `json:"socket"` // its index among the sockets that go with this flow
}

// Check returns an error for a flow that cannot exist in a process with this number of listeners. It
// is for what another process sends: what it refuses must not be restored.
func (in Moving) Check(listeners int) error {
	if in.Listener < 0 || in.Listener >= listeners {
		return fmt.Errorf("a flow of listener %d, where there are %d: listen.workers differs", in.Listener, listeners)
	}
	addrs := []netip.AddrPort{in.Client, in.Dst, in.Origin}
	if in.Egress != (netip.AddrPort{}) {
		addrs = append(addrs, in.Egress)
	}
	for _, a := range addrs {
		if !a.IsValid() || a.Port() == 0 || a.Addr().Is4In6() || a.Addr().Zone() != "" {
			return fmt.Errorf("a flow from %v to %v by %v cannot be", in.Client, in.Dst, in.Origin)
		}
	}
	if named := in.Peer.IsValid(); named != in.NamedDst.IsValid() || named && (in.Peer.Port() == 0 || in.Peer.Addr().Is4In6() || in.NamedDst.Addr().Is4In6()) {
		return fmt.Errorf("a flow from peer %v, which names dst %v, cannot be", in.Peer, in.NamedDst)
	}
	if in.Egress.IsValid() && in.Egress.Addr().Is4() != in.Origin.Addr().Is4() {
		return fmt.Errorf("a flow to %v cannot leave from %v", in.Origin, in.Egress)
	}
	return nil
}

// SharesSocket reports whether other flows may have the same socket.
func (in Moving) SharesSocket() bool { return in.SPP || in.Egress.IsValid() }

// Key is that of the flow.
func (in Moving) Key() Key {
	k := KeyOf(in.Client, in.Dst)
	k.Client.Zone = in.Zone
	if in.Peer.IsValid() {
		k.Via = ViaOf(call.EndpointOf(in.Peer), call.EndpointOf(in.NamedDst))
	}
	return k
}

// validation is that of the flow. Former versions validated a client after one exchange, and sent
// nothing but Shown: their flows go on as they were.
func (in Moving) validation() validation {
	if in.Shown {
		return validationOf(ExchangesToValidate, false)
	}
	return validationOf(in.Turns, in.Heard)
}

// InEvictionOrder yields all flows, those of one client in the order in which they are evicted, and
// those that are never evicted at last.
func (t *Table[S]) InEvictionOrder(yield func(*Flow[S]) bool) {
	for f := range t.evictions.inOrder {
		if !yield(f) {
			return
		}
	}
	for _, f := range t.deadlines {
		if f.stage == Validated && !yield(f) {
			return
		}
	}
}

// Moving describes f for another process, except for its listener and its socket. The time is that of
// the clock, with its monotonic part.
func (t *Table[S]) Moving(f *Flow[S], now time.Time) Moving {
	out := Moving{
		ID: f.ID, Client: f.Client(), Zone: f.Key.Client.Zone, Dst: f.Dst(), Route: f.Route.Name, Origin: f.OriginAddr(),
		Header: f.AppendHeader(nil), HeaderOnce: f.HeaderOnce(), SPP: f.spp,
		Begun: t.wallTime(f.begun, now), Last: t.wallTime(f.last, now),
		Answered: f.stage != Unanswered, Turns: f.validation.exchanges(), Heard: f.validation.originSentLast(), Shown: f.validation.done(),
		ToOrigin: f.toOrigin, ToClient: f.toClient, Packets: f.packets, Attempts: f.attempts,
		Kernel: f.carriedBy() != route.InUser,
	}
	if f.Key.named() {
		out.Peer, out.NamedDst = f.Key.peer(), f.Key.headerDst()
	}
	if f.lead != nil {
		out.TLVs = f.lead.tlvs
	}
	return out
}

// wallTime is a moment by the clock as it is now, which may have been set since the epoch: another
// process computes from its own clock how long ago that was.
func (t *Table[S]) wallTime(at time.Duration, now time.Time) time.Time {
	return now.Add(at - now.Sub(t.opt.Epoch))
}

// fromWallTime is the inverse of wallTime, for a moment that another process has sent.
func (t *Table[S]) fromWallTime(at, now time.Time) time.Duration {
	return now.Sub(t.opt.Epoch) - now.Sub(at.Round(0))
}

// Restore makes a flow of one of another process: without sockets, and not yet in the table. It is
// nil, and the verdict says why, where the flow has no place here. The time is that of the clock.
func (t *Table[S]) Restore(in Moving, now time.Time) (*Flow[S], route.Verdict) {
	k, r := in.Key(), t.opt.Routes.Set().Named(in.Route)
	switch {
	case r == nil:
		return nil, route.NoRoute
	case t.Find(k) != nil:
		return nil, route.RelayFailed
	}
	f := &Flow[S]{
		Key: k, Route: r, Counters: r.Stats.Shard(t.opt.Shard), Origin: r.Origins().At(in.Origin, in.Dst.Port()),
		validation: in.validation(), spp: in.SPP,
		begun: t.fromWallTime(in.Begun, now), last: t.fromWallTime(in.Last, now),
		ID: in.ID, toOrigin: in.ToOrigin, toClient: in.ToClient, packets: in.Packets, attempts: in.Attempts,
	}
	if in.Kernel {
		f.fast = &fast{reason: route.FastWaiting, path: route.OnBoth}
	}
	if f.ID == 0 { // a former version has not named it
		f.ID = t.ids.Next()
	}
	if !in.SPP && (len(in.Header) > 0 || r.ProxyProtocol == config.ProxyV2First) {
		f.lead = &lead{header: in.Header, tlvs: in.TLVs, once: in.HeaderOnce}
	}
	return f, route.Admitted
}

// InsertRestored puts a restored flow that has its sockets into the table. No limit is asked: the
// flow met them when it began.
func (t *Table[S]) InsertRestored(f *Flow[S], in Moving) {
	f.Route.Readmit(config.UDP, in.Client.Addr())
	t.opt.Limits.Flows.Insist(1)
	if f.OwnsSocket() {
		t.opt.Limits.Sockets.Insist()
	}
	f.Origin.Resume()
	t.insert(f)
	if in.Answered {
		t.evictions.answered(f)
	}
	if in.Answered && f.validation.done() {
		t.evictions.validated(f)
	}
}

// RefuseRestored counts and records a flow of another process that ends here.
func (t *Table[S]) RefuseRestored(in Moving, verdict route.Verdict) {
	t.opt.Routes.Unrouted.Shard(t.opt.Shard).End(config.UDP, verdict)
	t.record(route.Record{
		Begun: in.Begun, Took: in.Last.Sub(in.Begun), Protocol: config.UDP, Route: in.Route,
		Client: in.Client, Peer: in.Peer, Dst: in.Dst, Origin: in.Origin, Verdict: verdict,
		ID: in.ID, Attempts: int(in.Attempts), Phase: route.InData,
		Sent: [2]route.Sent{{Bytes: in.ToOrigin, Packets: in.Packets[route.ToOrigin]}, {Bytes: in.ToClient, Packets: in.Packets[route.ToClient]}},
	})
}
