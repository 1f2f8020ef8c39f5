package udp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
)

// egress is where the flows without a socket leave from: an address and port each of
// their routes' egress prefixes, through a raw socket. What comes back is steered to the
// listener, where it finds its flow by its own source and dst.
type egress struct {
	raw   *datagram.Raw
	flows map[key]*flow
}

// exit is the address and port that one flow leaves from.
type exit struct {
	answer  key    // what comes back has
	control []byte // has the raw socket send from there
}

func newExit(from, origin netip.AddrPort) *exit {
	return &exit{answer: key{datagram.EndpointOf(origin), datagram.EndpointOf(from)}, control: datagram.SourceControl(from.Addr())}
}

// addr is where the flow leaves from.
func (e *exit) addr() netip.AddrPort { return e.answer.dst.AddrPort() }

// picks is how often an exit is looked for by lot. Where half of them are taken, one in
// 65,536 flows finds none.
const picks = 16

var errNoExit = fmt.Errorf("%w: egress_prefixes are too small for so many flows to one origin", call.ErrNoPort)

// begin gives f an exit that no other flow to the same origin has. They are drawn by lot:
// who is not on the way cannot guess where an answer has to go.
func (e *egress) begin(f *flow, origin netip.AddrPort) error {
	prefix, err := prefixFor(origin.Addr(), f.route.EgressPrefixes)
	if err != nil {
		return err
	}
	for range picks {
		f.exit = newExit(netip.AddrPortFrom(addrIn(prefix), uint16(1024+rand.IntN(65536-1024))), origin)
		if err = e.take(f); !errors.Is(err, errTaken) {
			return err
		}
	}
	return errNoExit
}

var errTaken = errors.New("another flow leaves from there")

// take has f leave from the exit that it has.
func (e *egress) take(f *flow) error {
	fd, err := e.raw.FD(f.exit.addr().Addr())
	switch {
	case err != nil:
		return fmt.Errorf("to send from egress_prefixes needs CAP_NET_RAW: %w", err)
	case e.flows[f.exit.answer] != nil:
		return errTaken
	}
	f.fd, e.flows[f.exit.answer] = fd, f
	return nil
}

func (e *egress) end(f *flow) { delete(e.flows, f.exit.answer) }

// outgoing is a datagram of f's client on its way to the origin.
func (e *egress) outgoing(f *flow, payload []byte, o *outbox) datagram.Outgoing {
	header := o.scratch(datagram.UDPHeaderSize + len(f.header))
	copy(header[datagram.UDPHeaderSize:], f.header)
	datagram.PutUDPHeader(header, f.exit.addr(), f.originAddr(), payload)
	return datagram.Outgoing{
		FD: f.fd, To: f.exit.answer.client.WithoutPort(),
		Header: header, Payload: payload, Control: f.exit.control,
	}
}

// prefixFor draws one of the prefixes of an origin's family.
func prefixFor(origin netip.Addr, prefixes []netip.Prefix) (netip.Prefix, error) {
	start := rand.IntN(len(prefixes))
	for i := range prefixes {
		if p := prefixes[(start+i)%len(prefixes)]; p.Addr().Is4() == origin.Is4() {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("no egress prefix is of the family of origin %v", origin)
}

// addrIn draws an address of a prefix.
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
