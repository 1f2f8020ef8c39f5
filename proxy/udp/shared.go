package udp

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/route"
)

// sharedSocket is an origin socket for any number of flows, which their SPP header tells apart: it
// precedes each reply, too. The socket is not connected, and so serves all ports of its origin.
type sharedSocket struct {
	key      sharedKey
	fd       int
	port     uint16 // its local one
	counters *route.Counters
	flows    int
	source   sharedSource
	reads    readSize
	drops    dropCount
}

// sharedSource is the address that a shared socket's datagrams leave from; see sharedSocket.sourceTo.
type sharedSource struct {
	addr       netip.Addr
	generation uint32 // of the kernel's entries, when it was found out
}

// sharedKey is what the flows of a shared socket have in common. There are a few sockets for each
// origin, for origins that spread datagrams by their source.
type sharedKey struct {
	route  *route.Route
	origin netip.Addr
	number uint8
}

// sharedPerOrigin is the number of shared sockets to one origin.
const sharedPerOrigin = 4

// shareSocket gives f one of the sockets to its origin, which take turns.
func (l *loop) shareSocket(f *liveFlow, to netip.AddrPort) error {
	for i := range uint32(sharedPerOrigin) {
		k := sharedKey{f.Route, to.Addr(), uint8((f.Sockets.generation + i) % sharedPerOrigin)}
		s := l.shared[k]
		if s == nil {
			var err error
			if s, err = l.openShared(k, f); err != nil {
				return err
			}
		}
		if s.port != to.Port() { // or an origin on this host might be the socket itself
			joinShared(f, s)
			return nil
		}
	}
	return call.ErrItself
}

// openShared opens the shared socket of k, within the bound of sockets.
func (l *loop) openShared(k sharedKey, f *liveFlow) (*sharedSocket, error) {
	if l.makeRoom(); !l.sockets.Take() {
		return nil, unix.EMFILE
	}
	fd, err := l.dialer.DialAnyPort(k.origin, k.route.Source)
	if err != nil {
		l.sockets.Give()
		return nil, err
	}
	s, err := l.watchShared(k, fd, f)
	if err != nil {
		unix.Close(fd)
		l.sockets.Give()
	}
	return s, err
}

// watchShared makes a shared socket of fd, of which f is the first flow. It may get trains and bursts
// of all its flows, so it is prepared for them at once. On error fd remains the caller's.
func (l *loop) watchShared(k sharedKey, fd int, f *liveFlow) (*sharedSocket, error) {
	local, err := call.LocalAddr(fd)
	if err != nil {
		return nil, fmt.Errorf("reading the local address of a socket: %w", err)
	}
	s := &sharedSocket{key: k, fd: fd, port: local.Port(), counters: f.Counters}
	if err := l.watchOrigin(fd, owner{shared: s, generation: f.Sockets.generation}); err != nil {
		return nil, err
	}
	l.dialer.ExpectBursts(fd)
	if l.shared[k] == nil {
		l.shared[k] = s
	}
	return s, nil
}

// joinShared counts one more flow of s, which owes a leaveShared.
func joinShared(f *liveFlow, s *sharedSocket) {
	s.flows++
	f.Sockets.fd, f.Sockets.shared = int32(s.fd), s
}

// adoptShared is shareSocket with a socket of another process, whose flows come one by one: the first
// of them makes it known, the others find it by its fd.
func (l *loop) adoptShared(f *liveFlow, fd int) error {
	if o := l.ownerOf(fd); o.shared != nil {
		joinShared(f, o.shared)
		return nil
	}
	k := sharedKey{f.Route, f.Origin.Addr, 0}
	for l.shared[k] != nil && k.number < sharedPerOrigin-1 {
		k.number++
	}
	s, err := l.watchShared(k, fd, f)
	if err == nil {
		s.drops.inherited = true
		l.sockets.Insist()
		joinShared(f, s)
	}
	return err
}

// leaveShared counts one flow less; the last one closes the socket.
func (l *loop) leaveShared(s *sharedSocket) {
	if s.flows--; s.flows > 0 {
		return
	}
	if l.shared[s.key] == s {
		delete(l.shared, s.key)
	}
	l.unwatchOrigin(s.fd)
	l.sockets.Give()
}
