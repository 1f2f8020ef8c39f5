package udp

import (
	"net/netip"
	"sync"

	"anyport/proxy/call"
	"anyport/proxy/flow"
)

// clientSockets are the origin sockets of all loops that have the address and port of a client, by the
// addresses and ports of both ends. Two flows of a client socket, to two dsts with one origin, would
// have the same ends, and the kernel would give one flow the answers to the other. All flows of a
// client are in one loop, unless different peers name it in PROXY headers, so the loops share this.
type clientSockets struct {
	mu   sync.Mutex
	ends map[flow.Key]bool
}

// take reports whether no flow has these ends; then the caller owes a give.
func (c *clientSockets) take(k flow.Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends[k] {
		return false
	}
	c.ends[k] = true
	return true
}

func (c *clientSockets) give(k flow.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ends, k)
}

// dialAsClient gives f a socket to an origin from the client's own address and port.
func (l *loop) dialAsClient(f *liveFlow, to netip.AddrPort) (fd int, err error) {
	ends := flow.KeyOf(f.Client(), to)
	if !l.clientSockets.take(ends) {
		return -1, call.ErrClientPort
	}
	if fd, err = l.dialer.DialAs(to, f.Client()); err != nil {
		l.clientSockets.give(ends)
		return -1, err
	}
	l.asClient[fd] = ends
	return fd, nil
}

// adoptClientSocket notes the ends of a socket of another process, if it has the address and port of
// its client, and reports whether no other flow has them.
func (l *loop) adoptClientSocket(f *liveFlow, fd int) bool {
	if !f.Route.Transparent {
		return true
	}
	own, err := call.LocalAddr(fd)
	if err != nil || own != f.Client() { // it began before the route became transparent
		return true
	}
	ends := flow.KeyOf(own, f.OriginAddr())
	if !l.clientSockets.take(ends) {
		return false
	}
	l.asClient[fd] = ends
	return true
}

// forgetClientSocket gives back the ends of a socket that is about to be closed.
func (l *loop) forgetClientSocket(fd int) {
	if ends, ok := l.asClient[fd]; ok {
		delete(l.asClient, fd)
		l.clientSockets.give(ends)
	}
}
