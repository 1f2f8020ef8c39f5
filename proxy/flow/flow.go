package flow

import (
	"net/netip"
	"time"
	"unique"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/header"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// Key tells flows apart.
type Key struct {
	Client, Dst call.Endpoint
	Via         unique.Handle[Via] // the zero value, unless a PROXY header names the client
}

// KeyOf is the Key of addresses without a zone.
func KeyOf(client, dst netip.AddrPort) Key {
	return Key{Client: call.EndpointOf(client), Dst: call.EndpointOf(dst)}
}

// Flow is one flow. S is what the loop keeps of it: its sockets. The exported fields other than
// Sockets are for the loop to read, except Origin while it looks for one. Times are since the
// table's epoch.
//
// There may be hundreds of thousands of flows, and Go allocates sizes of certain steps: with the
// loop's 56 bytes a flow takes 288 bytes, and one word more would take 320.
type Flow[S any] struct {
	ID       route.ID
	Key      Key
	Route    *route.Route
	Counters *route.Counters // the route's, of this loop
	Origin   *origin.Origin
	Sockets  S

	lead       *lead // nil without proxy_protocol, and with spp
	fast       *fast // nil until the kernel is asked to forward it
	spp        bool  // the header is SPP, and precedes each datagram of the origin, too
	stage      Stage
	validation validation
	attempts   uint8 // origins that it was sent to; 255: or more
	position   int32 // in Table.deadlines

	begun, last time.Duration // last datagram, either way
	drainEnd    time.Duration // the latest end, where the flow is drained; or 0
	deadline    time.Duration // when to check whether it is idle; never after its end

	toOrigin, toClient uint64    // bytes of payload
	packets            [2]uint64 // datagrams, by direction

	entry      entry[S]  // in the eviction order of its kind
	routeEntry *entry[S] // in that of its route, if the route has a bound
}

// Client is the address that the flow's datagrams come from, or that a PROXY header names.
func (f *Flow[S]) Client() netip.AddrPort { return f.Key.Client.AddrPort() }

// Dst is the address that the client sends to, and is answered from.
func (f *Flow[S]) Dst() netip.AddrPort { return f.Key.Dst.AddrPort() }

// OriginAddr is where the flow's datagrams are forwarded to.
func (f *Flow[S]) OriginAddr() netip.AddrPort { return f.Origin.At(f.Key.Dst.Port) }

// OriginPort is the port of OriginAddr.
func (f *Flow[S]) OriginPort() uint16 { return f.Origin.Port(f.Key.Dst.Port) }

// Stage is how far the flow has come.
func (f *Flow[S]) Stage() Stage { return f.stage }

// maxPayload is the longest datagram to an address: 16 bits of length less the UDP header, and for
// IPv4 the IP header (RFC 768, RFC 791 §3.1, RFC 8200 §3).
func maxPayload(to netip.Addr) int {
	if to.Is4() {
		return 65535 - 20 - 8
	}
	return 65535 - 8
}

// amplification is how many bytes an unvalidated client is sent for each that it sent, without a
// charge to the budget of its network: the bound of QUIC (RFC 9000 §8.1).
const amplification = 3

// fromClient decides on n bytes of payload from the client.
func (f *Flow[S]) fromClient(n int, now time.Duration) route.Verdict {
	f.last = now
	f.validation.clientSent()
	if f.HeaderSize()+n > maxPayload(f.Origin.Addr) {
		return route.TooLarge
	}
	f.toOrigin += uint64(n)
	f.packets[route.ToOrigin]++
	return route.Forwarded
}

// fromOrigin decides on a datagram of the origin, and returns the part of it that is for the
// client.
func (f *Flow[S]) fromOrigin(reply []byte, b *Budgets, now time.Duration) ([]byte, route.Verdict) {
	if f.spp {
		payload, err := header.CutSPP(reply, f.sppHeader(make([]byte, 0, header.SPPSize)))
		if err != nil {
			return nil, route.BadHeader
		}
		reply = payload
	}
	switch {
	case len(reply) > maxPayload(f.Key.ReplyTo().AddrPort().Addr()):
		return nil, route.TooLarge
	case !f.mayAmplify(len(reply), b, now):
		return reply, route.Amplified
	}
	f.last = now
	f.toClient += uint64(len(reply))
	f.packets[route.ToClient]++
	f.validation.originSent()
	return reply, route.Forwarded
}

// mayAmplify reports whether the client may be sent n more bytes. What exceeds the bound on
// amplification is taken from the budget of its network. Bytes that the budget paid for count as
// sent, like all others.
func (f *Flow[S]) mayAmplify(n int, b *Budgets, now time.Duration) bool {
	if !f.Route.AntiAmplification || f.validation.done() || f.toClient+uint64(n) <= amplification*f.toOrigin {
		return true
	}
	over := min(uint64(n), f.toClient+uint64(n)-amplification*f.toOrigin)
	return b.Spend(f.Client().Addr(), int(over), f.Route.AmplificationBudget, now)
}

// Settle counts n datagrams after the kernel has taken or refused them. Their bytes were counted
// when they were decided on; where the kernel refused them, they are taken back.
func (f *Flow[S]) Settle(d route.Direction, v route.Verdict, n, bytes int) {
	f.Counters.Datagrams(d, v, n)
	switch {
	case v == route.Forwarded:
		f.Counters.Bytes(config.UDP, d, bytes)
		f.Origin.Carry(int(d), bytes)
		if d == route.ToOrigin && f.HeaderOnce() {
			f.lead.header, f.lead.once = nil, false
		}
	case d == route.ToOrigin:
		f.toOrigin -= uint64(bytes)
		f.packets[d] -= uint64(n)
	default:
		f.toClient -= uint64(bytes)
		f.packets[d] -= uint64(n)
	}
}

// OwnsSocket reports whether f has a socket to its origin that no other flow uses.
func (f *Flow[S]) OwnsSocket() bool { return ownsSocket(f.Route.Route, f.spp, f.Key) }

// SharesSocket reports whether flows like f can share a socket, where f does not leave from an
// egress prefix.
func (f *Flow[S]) SharesSocket() bool { return sharesSocket(f.spp, f.Key) }

// ownsSocket reports whether a flow of r, with or without SPP, has a socket of its own.
func ownsSocket(r *config.Route, spp bool, k Key) bool {
	return len(r.EgressPrefixes) == 0 && !sharesSocket(spp, k)
}

// sharesSocket reports whether the SPP header tells a client apart from all others of one socket.
// It does not for a link-local client: no header names its interface. Nor for a client that peers
// name: two of them may name the same one.
func sharesSocket(spp bool, k Key) bool { return spp && k.Client.Zone == 0 && !k.named() }
