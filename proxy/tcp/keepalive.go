package tcp

import (
	"errors"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// Keepalive finds peers that vanished: without it, a client whose host lost its power holds
// its conn for idle_timeout. A conn needs it only while both sides are quiet, since the
// kernel retransmits otherwise. So a loop turns it on once a conn has been quiet for half of
// the time, and a conn that ends before costs no system call.

// enableKeepalive turns keepalive on for both sockets of a conn.
func (l *loop) enableKeepalive(c *conn) {
	c.keepalive = true
	for _, e := range c.ends {
		l.sockets.EnableKeepalive(e.fd, c.route.Keepalive)
	}
}

// resetOrTimeout tells a peer that vanished from one that sent RST: the kernel has given up on it.
func (l *loop) resetOrTimeout(c *conn, v route.Verdict) route.Verdict {
	switch {
	case v == route.ResetByClient && l.vanished(&c.ends[clientEnd]):
		return route.ClientTimedOut
	case v == route.ResetByOrigin && l.vanished(&c.ends[originEnd]):
		return route.OriginTimedOut
	}
	return v
}

func (l *loop) vanished(e *end) bool { return e.vanished || vanished(l.sockets.TakeError(e.fd)) }

func vanished(err error) bool {
	return errors.Is(err, unix.ETIMEDOUT) || errors.Is(err, unix.EHOSTUNREACH)
}
