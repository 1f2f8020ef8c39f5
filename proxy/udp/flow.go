package udp

import (
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/datagram"
	"anyport/proxy/header"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// key is what makes two datagrams one flow.
type key struct{ client, dst datagram.Endpoint }

// flow is one conversation of a client with a dst. Times are since the table's epoch.
// There may be hundreds of thousands: its size, 256 bytes, is one of those that Go has without loss.
type flow struct {
	key      key
	route    *route.Route
	counters *route.Counters
	origin   *origin.Origin

	fd         int     // the origin socket
	generation uint32  // tells its events from those of a closed socket with the same fd
	position   int32   // in the table's order of due
	shared     *shared // the same socket, where other flows use it too
	exit       *exit   // where it leaves from, if the socket is a raw one
	reply      *reply
	appetite   appetite

	header     []byte // stands before each datagram to the origin
	headerOnce bool   // …or before the first alone: it goes once that is sent
	spp        bool   // the header is SPP, and stands before each datagram of the origin, too
	stage      stage
	turns      turns

	paths [2]datagram.Path // by direction

	begun, last time.Duration
	cut         time.Duration // the end at the latest, where the flow is drained; or 0
	due         time.Duration // when to look whether it is idle; never after the end

	toOrigin, toClient uint64 // bytes of payload

	standing standing  // in the crowd of its kind
	inRoute  *standing // in that of its route, if the route has a bound
}

func (f *flow) client() netip.AddrPort { return f.key.client.AddrPort() }
func (f *flow) dst() netip.AddrPort    { return f.key.dst.AddrPort() }

// originAddr is where the flow's datagrams go.
func (f *flow) originAddr() netip.AddrPort { return f.origin.At(f.key.dst.Port) }

func (f *flow) originPort() uint16 { return f.origin.Port(f.key.dst.Port) }

// maxPayload is the longest datagram to an address: 16 bits of length less the
// UDP header, and for IPv4 the IP header (RFC 768, RFC 791 §3.1, RFC 8200 §3).
func maxPayload(to netip.Addr) int {
	if to.Is4() {
		return 65535 - 20 - 8
	}
	return 65535 - 8
}

// amplification is how many bytes a client gets for each that it sent, until it has shown
// that it is there, without a charge to the budget of its network. (The bound of QUIC, RFC
// 9000 §8.1.)
const amplification = 3

// fromClient decides on n bytes of payload from the client.
func (f *flow) fromClient(n int, now time.Duration) route.Verdict {
	f.last = now
	f.turns.client()
	if len(f.header)+n > maxPayload(f.origin.Addr) {
		return route.TooLarge
	}
	f.toOrigin += uint64(n)
	return route.Forwarded
}

// fromOrigin decides on a datagram of the origin, and returns what of it is for the client.
func (f *flow) fromOrigin(reply []byte, b *budgets, now time.Duration) ([]byte, route.Verdict) {
	if f.spp {
		payload, err := header.CutSPP(reply, f.header)
		if err != nil {
			return nil, route.BadHeader
		}
		reply = payload
	}
	switch {
	case len(reply) > maxPayload(f.key.client.AddrPort().Addr()):
		return nil, route.TooLarge
	case !f.mayGet(len(reply), b, now):
		return reply, route.Amplified
	}
	f.last = now
	f.toClient += uint64(len(reply))
	f.turns.origin()
	return reply, route.Forwarded
}

// mayGet reports whether the client may be sent n bytes more. What is beyond the bound on
// amplification is taken from the budget of its network. Bytes that were paid for so count
// as received, like all others.
func (f *flow) mayGet(n int, b *budgets, now time.Duration) bool {
	if !f.route.AntiAmplification || f.turns.shown() || f.toClient+uint64(n) <= amplification*f.toOrigin {
		return true
	}
	over := min(uint64(n), f.toClient+uint64(n)-amplification*f.toOrigin)
	return b.spend(f.client().Addr(), int(over), f.route.AmplificationBudget, now)
}

// settle counts n datagrams whose fate is known. Their bytes were promised when it was
// decided on them; datagrams that the kernel refused take them back.
func (f *flow) settle(d route.Direction, v route.Verdict, n, bytes int) {
	f.counters.Datagrams(d, v, n)
	switch {
	case v == route.Forwarded:
		f.counters.Bytes(config.UDP, d, bytes)
		if d == route.ToOrigin && f.headerOnce {
			f.header, f.headerOnce = nil, false
		}
	case d == route.ToOrigin:
		f.toOrigin -= uint64(bytes)
	default:
		f.toClient -= uint64(bytes)
	}
}

// drainQuiet is how long a flow of a stopping process may say nothing before it
// is taken for ended: UDP has no FIN.
const drainQuiet = 2 * time.Second

// end is when the flow ends if nothing more comes, and why.
func (f *flow) end() (time.Duration, route.Verdict) {
	idle := f.route.FlowIdle(f.key.dst.Port)
	if f.cut == 0 {
		return f.last + idle, route.IdleTimedOut
	}
	if quiet := f.last + min(idle, drainQuiet); quiet < f.cut {
		return quiet, route.IdleTimedOut
	}
	return f.cut, route.DrainTimedOut
}

// owns reports whether f has a socket of its own.
func (f *flow) owns() bool { return ownsSocket(f.route.Route, f.spp, f.key.client) }

// ownsSocket reports whether a flow of r, with or without SPP, has a socket of its own.
func ownsSocket(r *config.Route, spp bool, client datagram.Endpoint) bool {
	return len(r.EgressPrefixes) == 0 && !sharesSocket(spp, client)
}

// sharesSocket reports whether flows with SPP tell a client apart in one socket: not a
// link-local one, for no header names its interface.
func sharesSocket(spp bool, client datagram.Endpoint) bool { return spp && client.Zone == 0 }
