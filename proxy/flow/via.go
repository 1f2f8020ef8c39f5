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

// namingPeers has the peers that name the clients of live flows. It belongs to the goroutine of the table.
type namingPeers map[peerAndDst]*namingPeer

type peerAndDst struct{ peer, dst call.Endpoint }

// namingPeer is a peer with live flows to one dst.
type namingPeer struct {
	flows int
	route *route.Route // of the first of them
}

func (k Key) peerAndDst() peerAndDst { return peerAndDst{k.Via.Value().Peer, k.Dst} }

// add notes a flow, if a header names its client.
func (n namingPeers) add(k Key, r *route.Route) {
	if !k.named() {
		return
	}
	at := k.peerAndDst()
	if n[at] == nil {
		n[at] = &namingPeer{route: r}
	}
	n[at].flows++
}

func (n namingPeers) remove(k Key) {
	if !k.named() {
		return
	}
	at := k.peerAndDst()
	if n[at].flows--; n[at].flows == 0 {
		delete(n, at)
	}
}

// Naming returns the route of what peer sends to dst if the header of each datagram names its client
// there; otherwise nil. While a peer has a live flow to dst, its datagrams have the header, also where the
// route that takes dst now does not want it: the flow drains after a reload, or the peer is on the other
// side of a trial.
func (t *Table[S]) Naming(peer, dst call.Endpoint) *route.Route {
	if set := t.opt.Routes.Set(); set.NamesClients() {
		if r := set.Lookup(config.UDP, peer.AddrPort().Addr(), dst.AddrPort()); r != nil && r.NamesClients() {
			return r
		}
	}
	if len(t.naming) == 0 {
		return nil
	}
	if live := t.naming[peerAndDst{peer, dst}]; live != nil {
		return live.route
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
