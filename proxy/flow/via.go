package flow

import (
	"net/netip"
	"time"
	"unique"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

// Via is what a flow whose client a PROXY header names has in its key beyond client and dst. Its
// datagrams come from Peer, and replies go there; the outgoing header names Dst.
type Via struct {
	Peer call.Endpoint
	Dst  call.Endpoint // that the header names; the flow's own dst if it names none
}

// ViaOf is the part of a Key that stands for a Via. Few peers name many clients, so the value is
// interned: a key, and so each flow, has one word for it.
func ViaOf(peer, dst call.Endpoint) unique.Handle[Via] { return unique.Make(Via{peer, dst}) }

// named reports whether a header names the client.
func (k Key) named() bool { return k.Via != unique.Handle[Via]{} }

// ReplyTo is where replies to the client are sent: to the peer that named it, or to the client.
func (k Key) ReplyTo() call.Endpoint {
	if k.named() {
		return k.Via.Value().Peer
	}
	return k.Client
}

// peer is where the datagrams of a named client come from, otherwise the zero value.
func (k Key) peer() netip.AddrPort {
	if !k.named() {
		return netip.AddrPort{}
	}
	return k.Via.Value().Peer.AddrPort()
}

// headerDst is the dst that the outgoing header names.
func (k Key) headerDst() netip.AddrPort {
	if k.named() {
		return k.Via.Value().Dst.AddrPort()
	}
	return k.Dst.AddrPort()
}

// Naming returns the route of what peer sends to dst if the header of each datagram names its client
// there; otherwise nil.
func (t *Table[S]) Naming(peer, dst call.Endpoint) *route.Route {
	set := t.opt.Routes.Set()
	if !set.NamesClients() {
		return nil
	}
	if r := set.Lookup(config.UDP, peer.AddrPort().Addr(), dst.AddrPort()); r != nil && r.NamesClients() {
		return r
	}
	return nil
}

// Named reads the header of a datagram from a peer to dst, on a route that Naming returned. If the
// peer may not name clients, or sent no valid header, the datagram is counted and recorded here,
// and ok is false. The key of a datagram whose header names nobody has the peer as its client.
func (t *Table[S]) Named(r *route.Route, peer, dst call.Endpoint, b []byte, now time.Duration) (d NamedDatagram, ok bool) {
	if !r.Trusts(peer.AddrPort().Addr()) {
		t.refuse(r, Key{Client: peer, Dst: dst}, route.UntrustedPeer, now)
		return d, false
	}
	h, err := header.ParseDatagram(b)
	if err != nil {
		t.refuse(r, Key{Client: peer, Dst: dst}, route.BadHeader, now)
		return d, false
	}
	d = NamedDatagram{Key: Key{Client: peer, Dst: dst, Via: ViaOf(peer, dst)}, Payload: b[h.Size:], TLVs: h.TLVs}
	if h.Named() {
		d.Key.Client, d.Key.Via = call.EndpointOf(h.Client), ViaOf(peer, call.EndpointOf(h.Dst))
	}
	return d, true
}

// NamedDatagram is a datagram without its header. Its slices point into the datagram.
type NamedDatagram struct {
	Key     Key
	Payload []byte
	TLVs    []byte
}
