package tcp

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/route"
)

// Keepalive finds peers that vanished: without it, a client whose host lost its power holds
// its conn for idle_timeout. A conn needs it only while both sides are quiet, since the
// kernel retransmits otherwise. So a loop turns it on once a conn has been quiet for half of
// the time, and a conn that ends before costs no system call.

// keepaliveProbes is the number of unanswered probes after which the kernel ends a conn with
// ETIMEDOUT. They are spread over as long a time as the conn was quiet before the first.
const keepaliveProbes = 8

// probe turns keepalive on for both sockets of a conn.
func (l *loop) probe(c *conn) {
	c.probed = true
	for _, e := range c.ends {
		l.wire.probe(e.fd, c.route.Keepalive)
	}
}

// probe sets the kernel's whole seconds, rounded up. A socket that refuses an option is
// about to fail anyway.
func (kernel) probe(fd int32, after time.Duration) {
	interval := after / keepaliveProbes
	_ = call.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(after))
	_ = call.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(interval))
	_ = call.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepaliveProbes)
	_ = call.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// lost tells a peer that vanished from one that sent RST: the kernel has given up on it.
func (l *loop) lost(c *conn, v route.Verdict) route.Verdict {
	switch {
	case v == route.ResetByClient && l.vanished(&c.ends[clientEnd]):
		return route.ClientTimedOut
	case v == route.ResetByOrigin && l.vanished(&c.ends[originEnd]):
		return route.OriginTimedOut
	}
	return v
}

func (l *loop) vanished(e *end) bool { return e.vanished || vanished(l.wire.failure(e.fd)) }

func vanished(err error) bool {
	return errors.Is(err, unix.ETIMEDOUT) || errors.Is(err, unix.EHOSTUNREACH)
}
