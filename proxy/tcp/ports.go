package tcp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
)

// A conn whose dst has a port of the ephemeral range keeps connect(2) from giving that port
// to anybody, whatever the addresses (__inet_hash_connect passes over it), for as long as it
// lives and for the minute of TIME_WAIT: a client that asks for all ports, as a scan does,
// would leave none to dial from. What the kernel does not give may still be asked for by
// number, where all who have the port have set SO_REUSEADDR (inet_bind_conflict): what must
// differ between two conns is the pair of addresses and ports alone.

// portTries is how many ports are asked for: each one that is in use is so by a program of
// the host, or by a conn to the same origin.
const portTries = 32

// ports are those that sockets may dial from.
type ports struct {
	config.PortRange
	reserved map[uint16]bool
}

func newPorts() ports { return ports{call.LocalPorts(), call.ReservedPorts()} }

// after is the port that follows so many steps after another, without the reserved ones,
// with the address; where that is none, of the family of to.
func (p *ports) after(start, steps int, source, to netip.Addr) netip.AddrPort {
	all := p.Width()
	at := (start + steps) % all
	for range all {
		if !p.reserved[p.First+uint16(at)] {
			break
		}
		at = (at + 1) % all
	}
	switch {
	case source.IsValid():
	case to.Is4():
		source = netip.IPv4Unspecified()
	default:
		source = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(source, p.First+uint16(at))
}

// connectByNumber asks for one port after the other, from any on.
func (l *loop) connectByNumber(c *conn, to netip.AddrPort, source netip.Addr) (err error) {
	start := rand.IntN(1 << 16)
	for i := range portTries {
		if err = l.connect(c, to, l.ports.after(start, i, source, to.Addr())); !errors.Is(err, call.ErrNoPort) {
			break
		}
	}
	return err
}

var errItself = fmt.Errorf("%w: %w", call.ErrItself, unix.ECONNREFUSED)

// metItself reports whether c's socket answers for an origin that is not there: one on this
// host, on a port that a socket to dial from may get, connects to itself then (the
// simultaneous open of RFC 9293 §3.5).
func (l *loop) metItself(c *conn) bool {
	to := c.origin.At(c.dst.Port())
	if !l.ports.Contains(to.Port()) {
		return false
	}
	own, err := call.LocalAddr(int(c.ends[originEnd].fd))
	return err == nil && own == to
}
