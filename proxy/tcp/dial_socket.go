package tcp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/socket"
)

// connectFrom begins to dial from a new socket, from an address, or an address and port, if from is
// valid.
func (l *loop) connectFrom(c *conn, to, from netip.AddrPort) error {
	fd, err := l.openOriginSocket(c, to)
	if err != nil {
		return err
	}
	return socket.Connect(fd, to, from)
}

// connectAsClient begins to dial from the client's own address and port.
func (l *loop) connectAsClient(c *conn, to netip.AddrPort) error {
	fd, err := l.openOriginSocket(c, to)
	if err != nil {
		return err
	}
	return socket.ConnectAs(fd, to, c.client)
}

// openOriginSocket opens a socket in place of the one that an earlier try has left.
func (l *loop) openOriginSocket(c *conn, to netip.AddrPort) (fd int, err error) {
	if before := c.ends[originEnd].fd; before >= 0 { // it cannot be bound a second time
		l.sockets.Close(before)
		c.ends[originEnd] = end{fd: -1}
	}
	if fd, err = socket.Open(call.Family(to.Addr())); err != nil {
		return -1, err
	}
	c.ends[originEnd] = end{fd: int32(fd)}
	if c.route.ProxyProtocol != config.ProxyOff {
		socket.DelayACK(fd)
	}
	if rate := l.bandwidthOf(c); rate != 0 {
		l.sockets.LimitPacing(int32(fd), rate)
	}
	return fd, nil
}

// portTries is how many ports are tried by number: each one that is in use is so by a program of
// the host, or by a conn to the same origin.
const portTries = 32

// connectByNumber dials from one port after the other, beginning at a random one: see socket.Ports.
func (l *loop) connectByNumber(c *conn, to netip.AddrPort, source netip.Addr) (err error) {
	start := rand.IntN(1 << 16)
	for i := range portTries {
		if err = l.connectFrom(c, to, l.ports.After(start, i, source, to.Addr())); !errors.Is(err, call.ErrNoPort) {
			break
		}
	}
	return err
}

// errDialledItself counts as a refusal: nobody listens on the origin's port.
var errDialledItself = fmt.Errorf("%w: %w", call.ErrItself, unix.ECONNREFUSED)

// dialledItself reports whether c's socket is its own peer: if nobody listens on an origin of this
// host, and the kernel gave the origin's port to the socket that dials it, the socket connects to
// itself (the simultaneous open of RFC 9293 §3.5).
func (l *loop) dialledItself(c *conn) bool {
	to := c.origin.At(c.dst.Port())
	if !l.ports.Contains(to.Port()) {
		return false
	}
	own, err := call.LocalAddr(int(c.ends[originEnd].fd))
	return err == nil && own == to
}
