package tcp

import (
	"errors"
	"hash/fnv"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/wheel"
)

// Moments are durations since the loop began. What is due when, and with which verdict, is decided by
// functions of the conn alone (deadline, timeoutAt, timerAt).

// limitByDrain gives a conn of a draining loop its drain_timeout, unless it has one already because
// its route was removed.
func (l *loop) limitByDrain(c *conn) {
	if l.draining() && c.drained == 0 {
		c.drained = l.drainBegan + min(max(c.route.Drain, l.drainAtLeast), wheel.Never-l.drainBegan)
	}
}

// setTimer sets the conn's timer to the next moment at which something is due. Bytes that move
// do not set it again: timerFired finds that the deadline has moved.
func (l *loop) setTimer(c *conn) {
	at, _ := c.timerAt(c.route.Timeouts)
	l.timers.Set(&c.timer, min(at, c.progressAt()))
}

// timerFired does what is due: nothing if the deadline has moved since the timer was set, as every
// byte moves it; otherwise the conn ends, or dials the next origin.
func (l *loop) timerFired(c *conn) {
	at, v := c.timerAt(c.route.Timeouts)
	switch {
	case c.moving || c.state == closed: // closed: it was evicted in the same turn
	case c.progressAt() <= l.now:
		l.recordProgress(c)
		l.timerFired(c) // the deadline may have come at the same time
	case at > l.now:
		l.timers.Set(&c.timer, min(at, c.progressAt()))
	case v == route.Undecided:
		l.enableKeepalive(c)
		l.setTimer(c)
	case v == route.ConnectTimedOut:
		l.dialTimedOut(c)
	case v == route.QueueTimedOut:
		l.waitTimedOut(c)
	case c.state == relaying && v != route.DrainTimedOut && v != route.MaxAge && (c.paused() || c.delivering(l.sockets)):
		c.active = l.now
		l.setTimer(c)
	default:
		l.endConn(c, v)
	}
}

// delivering reports whether a peer has acknowledged bytes since this was last called. The kernel's
// queue can keep a slow reader busy for minutes after the last byte has passed through the loop,
// and RST would cut off what it has still to read. A reader that has stalled is found at the second
// call.
func (c *conn) delivering(on sockets) bool {
	before := c.queue
	c.queue = 0
	for _, e := range c.ends {
		c.queue += on.Unacked(e.fd)
	}
	return c.queue > 0 && c.queue != before
}

// maxAgeAt is when a conn has reached max_age, give or take a tenth, so that conns that began together
// do not all come back together. The same conn always has the same age, also in another process.
func (c *conn) maxAgeAt(age time.Duration) time.Duration {
	if c.state != relaying || age <= 0 {
		return wheel.Never
	}
	h := fnv.New32a()
	h.Write(c.client.AppendTo(nil))
	h.Write(c.dst.AppendTo(nil))
	part := float64(h.Sum32())/(1<<32)*2 - 1 // -1 to 1
	return addTimeout(c.began, age+time.Duration(part*float64(age)/10))
}

// deadline is when the conn ends if nothing happens before, and with which verdict.
func (c *conn) deadline(t config.Timeouts) (at time.Duration, v route.Verdict) {
	at, v = c.timeoutAt(t)
	if old := c.maxAgeAt(t.MaxAge); old < at {
		at, v = old, route.MaxAge
	}
	if c.drained != 0 && c.drained < at {
		return c.drained, route.DrainTimedOut
	}
	return at, v
}

// timeoutAt is deadline without drain_timeout.
func (c *conn) timeoutAt(t config.Timeouts) (at time.Duration, v route.Verdict) {
	idle := addTimeout(c.active, t.Idle)
	switch {
	case c.state == naming:
		return addTimeout(c.began, t.Header), route.HeaderTimedOut
	case c.state == waiting:
		return addTimeout(c.dialled, t.Queued), route.QueueTimedOut
	case c.state == dialling && c.hurries && (t.Connect <= 0 || t.Connect > otherWayAfter):
		return addTimeout(c.dialled, otherWayAfter), route.ConnectTimedOut
	case c.state == dialling:
		return addTimeout(c.dialled, t.Connect), route.ConnectTimedOut
	case c.ways[route.ToOrigin].finished || c.ways[route.ToClient].finished:
		if at = addTimeout(c.active, t.HalfClose); at <= idle {
			return at, route.HalfCloseTimedOut
		}
	}
	return idle, route.IdleTimedOut
}

// timerAt is when the conn's timer has to fire: at its deadline, or, with v Undecided, when keepalive
// has to be turned on.
func (c *conn) timerAt(t config.Timeouts) (at time.Duration, v route.Verdict) {
	at, v = c.deadline(t)
	if c.state != relaying || c.keepalive || t.Keepalive <= 0 {
		return at, v
	}
	// The kernel counts from the last packet, so it is early enough at half of the time.
	if probes := addTimeout(c.active, t.Keepalive/2); probes < at {
		return probes, route.Undecided
	}
	return at, v
}

// addTimeout is the moment a timeout after another one; a timeout of 0 means none. at is negative if
// it was in the process that the conn came from.
func addTimeout(at, timeout time.Duration) time.Duration {
	if timeout <= 0 || timeout > wheel.Never-max(at, 0) {
		return wheel.Never
	}
	return at + timeout
}

// enableKeepalive turns keepalive probes on for both sockets of a conn, to find peers that vanished:
// without them, a client whose host lost power holds its conn for idle_timeout. A conn needs them only
// while both sides are quiet, since the kernel retransmits otherwise. So they are turned on once it
// has been quiet for half of the time (timerAt), and a conn that ends before costs no system call.
func (l *loop) enableKeepalive(c *conn) {
	c.keepalive = true
	for _, e := range c.ends {
		l.sockets.EnableKeepalive(e.fd, c.route.Keepalive)
	}
}

// resetOrTimeout returns the timeout verdict in place of v, a reset, if no RST came: the kernel has
// given up on a peer that did not answer.
func (l *loop) resetOrTimeout(c *conn, v route.Verdict) route.Verdict {
	switch {
	case v == route.ResetByClient && l.vanished(&c.ends[clientEnd]):
		return route.ClientTimedOut
	case v == route.ResetByOrigin && l.vanished(&c.ends[originEnd]):
		return route.OriginTimedOut
	}
	return v
}

// vanished reports whether e failed because its peer no longer answers. The error may have been fetched
// already by a read or write, or still wait on the socket.
func (l *loop) vanished(e *end) bool { return e.vanished || vanished(l.sockets.TakeError(e.fd)) }

// vanished reports whether err is one that the kernel gives after unanswered probes or retransmissions.
func vanished(err error) bool {
	return errors.Is(err, unix.ETIMEDOUT) || errors.Is(err, unix.EHOSTUNREACH)
}
