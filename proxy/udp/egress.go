package udp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/flow"
)

// egress is the flows that leave from an address and port of their routes' egress_prefixes, through
// a raw socket. What comes back is steered to the listener, where it finds its flow by its own source
// and dst. It belongs to one loop.
type egress struct {
	raw   *datagram.Raw
	flows map[flow.Key]*liveFlow // by the source and dst of replies
}

// egressSource is the address and port that one flow leaves from.
type egressSource struct {
	replies flow.Key // source and dst of what comes back: Dst is the egress address
	control []byte   // has the raw socket send from there
}

func newEgressSource(from, origin netip.AddrPort) *egressSource {
	return &egressSource{replies: flow.KeyOf(origin, from), control: datagram.SourceControl(from.Addr())}
}

// addr is where the flow leaves from.
func (s *egressSource) addr() netip.AddrPort { return s.replies.Dst.AddrPort() }

// egressTries is how many sources are drawn until one is free. Where half of them are in use, one in
// 65,536 flows finds none.
const egressTries = 16

var (
	errNoSource    = fmt.Errorf("%w: egress_prefixes are too small for this number of flows to one origin", call.ErrNoPort)
	errSourceInUse = errors.New("another flow leaves from that address and port")
)

// assign gives f a source that no other flow to the same origin has. It is drawn at random: who does
// not see the datagrams cannot guess where to send forged replies.
func (e *egress) assign(f *liveFlow, origin netip.AddrPort) error {
	prefix, err := prefixFor(origin.Addr(), f.Route.EgressPrefixes)
	if err != nil {
		return err
	}
	for range egressTries {
		f.Sockets.egress = newEgressSource(netip.AddrPortFrom(addrIn(prefix), uint16(1024+rand.IntN(65536-1024))), origin)
		if err = e.register(f); !errors.Is(err, errSourceInUse) {
			return err
		}
	}
	return errNoSource
}

// register has replies to the source of f find it. On error nothing is registered.
func (e *egress) register(f *liveFlow) error {
	source := f.Sockets.egress
	fd, err := e.raw.FD(source.addr().Addr())
	switch {
	case err != nil:
		return fmt.Errorf("to send from egress_prefixes needs CAP_NET_RAW: %w", err)
	case e.flows[source.replies] != nil:
		return errSourceInUse
	}
	f.Sockets.fd, e.flows[source.replies] = int32(fd), f
	return nil
}

// remove forgets a source: replies to it are datagrams without a flow from now on.
func (e *egress) remove(s *egressSource) { delete(e.flows, s.replies) }

// outgoing is a datagram of f's client for the raw socket: the UDP header, which says where it comes
// from, is written here, and the flow's own header behind it.
func (e *egress) outgoing(f *liveFlow, payload []byte, q *sendQueue) datagram.Outgoing {
	source := f.Sockets.egress
	header := q.scratch(datagram.UDPHeaderSize + f.HeaderSize())
	f.AppendHeader(header[:datagram.UDPHeaderSize])
	datagram.PutUDPHeader(header, source.addr(), f.OriginAddr(), payload)
	return datagram.Outgoing{
		FD: int(f.Sockets.fd), To: datagram.RawPeer(source.replies.Client),
		Header: header, Payload: payload, Control: source.control,
	}
}

// prefixFor draws one of the prefixes, of those of an origin's family.
func prefixFor(origin netip.Addr, prefixes []netip.Prefix) (netip.Prefix, error) {
	start := rand.IntN(len(prefixes))
	for i := range prefixes {
		if p := prefixes[(start+i)%len(prefixes)]; p.Addr().Is4() == origin.Is4() {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("no egress prefix is of the family of origin %v", origin)
}

// addrIn draws an address of a prefix: the bits behind it are random.
func addrIn(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		if fixed := p.Bits() - 8*i; fixed < 8 {
			b[i] |= byte(rand.Uint32()) & (0xff >> max(fixed, 0))
		}
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}
