package udp

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

// shared is an origin socket for any number of flows, whose header tells them apart:
// SPP's stands before each reply, too. It is not connected, and so serves all ports
// of its origin.
type shared struct {
	key        sharedKey
	fd         int
	generation uint32
	port       uint16 // its own
	counters   *route.Counters
	flows      int
	appetite   appetite
}

// sharedKey is what the flows of a shared socket have in common. There are a few for
// each origin, for the sake of origins that spread datagrams by their source.
type sharedKey struct {
	route  *route.Route
	origin netip.Addr
	number uint8
}

const sharedPerOrigin = 4

// shares reports whether f uses a shared socket, where it has no exit.
func (f *flow) shares() bool { return sharesSocket(f.spp, f.key.client) }

// share gives f one of the sockets to its origin, in turns.
func (l *loop) share(f *flow, to netip.AddrPort) error {
	for i := range uint32(sharedPerOrigin) {
		k := sharedKey{f.route, to.Addr(), uint8((f.generation + i) % sharedPerOrigin)}
		s := l.shared[k]
		if s == nil {
			var err error
			if s, err = l.openShared(k, f); err != nil {
				return err
			}
		}
		if s.port != to.Port() { // or on this host it might be the socket's own
			f.join(s)
			return nil
		}
	}
	return call.ErrItself
}

func (l *loop) openShared(k sharedKey, f *flow) (*shared, error) {
	if !l.table.mayOwn.take() {
		return nil, unix.EMFILE
	}
	fd, err := l.dialer.DialAnyPort(k.origin, k.route.Source)
	if err != nil {
		l.table.mayOwn.give()
		return nil, err
	}
	s, err := l.newShared(k, fd, f)
	if err != nil {
		unix.Close(fd)
		l.table.mayOwn.give()
	}
	return s, err
}

// newShared makes a shared socket of fd, of which f is the first flow.
func (l *loop) newShared(k sharedKey, fd int, f *flow) (*shared, error) {
	own, err := datagram.LocalEndpoint(fd)
	if err != nil {
		return nil, err
	}
	s := &shared{key: k, fd: fd, generation: f.generation, port: own.Port, counters: f.counters}
	if err := l.own(fd, owner{shared: s}); err != nil {
		return nil, err
	}
	l.dialer.ExpectBursts(fd)
	if l.shared[k] == nil {
		l.shared[k] = s
	}
	return s, nil
}

func (f *flow) join(s *shared) {
	s.flows++
	f.fd, f.shared = s.fd, s
}

// takeShared is share with a socket of another process, whose flows come one by one.
func (l *loop) takeShared(f *flow, fd int) error {
	if o := l.owner(fd); o.shared != nil {
		f.join(o.shared)
		return nil
	}
	k := sharedKey{f.route, f.origin.Addr, 0}
	for l.shared[k] != nil && k.number < sharedPerOrigin-1 {
		k.number++
	}
	s, err := l.newShared(k, fd, f)
	if err == nil {
		l.table.mayOwn.insist()
		f.join(s)
	}
	return err
}

// part takes f from its shared socket, which the last one closes.
func (l *loop) part(f *flow) {
	s := f.shared
	if s.flows--; s.flows > 0 {
		return
	}
	if l.shared[s.key] == s {
		delete(l.shared, s.key)
	}
	l.disown(s.fd)
	l.table.mayOwn.give()
}

// addressee returns whose reply came on a shared socket, by the header before it: nil
// where that is of no flow that has sent something there.
func (t *table) addressee(reply []byte, from datagram.Endpoint) *flow {
	client, dst, _, err := header.ParseSPP(reply)
	if err != nil {
		return nil
	}
	f := t.flows[key{datagram.EndpointOf(client), datagram.EndpointOf(dst)}]
	if f == nil || f.shared == nil || from.AddrPort() != f.originAddr() {
		return nil
	}
	return f
}
