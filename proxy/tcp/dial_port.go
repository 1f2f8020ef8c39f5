package tcp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

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
