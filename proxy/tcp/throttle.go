package tcp

import (
	"math"
	"time"

	"anyport/proxy/buffers"
	"anyport/proxy/route"
	"anyport/proxy/wheel"
)

// A way of a route that has route_bandwidth reads only in its turn: it takes bytes from the bandwidth
// before it reads them. If they are not free yet, the way is paused until they are. The timer wheel
// ends the pause, so waiting costs no wake-up. What the way has read already goes on to the other end.

// throttle is the turns of one conn. The loop has one for each conn with a turn (loop.throttles); the
// conn itself has only a bit for each way, so that conns of other routes are no larger.
type throttle struct {
	timer wheel.Timer[*conn] // set while a way is paused
	turns [2]turn            // of the ways
}

// turn is what a way has taken from the bandwidth and not read yet.
type turn struct {
	shared *route.SharedBandwidth // nil: the way has no turn
	bytes  int
	at     time.Duration // when it may read them
}

// unlimited is what a way without route_bandwidth may read at once.
const unlimited = math.MaxInt

// readInTurn takes the step stepRead, within route_bandwidth if there is one. more is false if other
// conns have to be served before the next read.
func (l *loop) readInTurn(c *conn, d route.Direction) (more bool) {
	shared := c.route.Shared(d)
	if shared == nil {
		l.readOnce(c, d, unlimited)
		return true
	}
	t := l.turnOf(c, d, shared)
	if c.ways[d].paused {
		return false
	}
	before := c.ways[d].bytes
	l.readOnce(c, d, max(t.bytes, 1))
	t.bytes -= int(c.ways[d].bytes - before)
	if step := c.nextStep(d); t.bytes <= 0 || step == stepWait || step == stepFIN {
		l.endTurn(c, d)
	}
	return false
}

// turnOf returns the turn of a way that wants to read. If it is a new one, the way may be paused.
func (l *loop) turnOf(c *conn, d route.Direction, shared *route.SharedBandwidth) *turn {
	th := l.throttles[c]
	if th == nil {
		th = &throttle{}
		th.timer.Value = c
		l.throttles[c] = th
	}
	t := &th.turns[d]
	if t.shared != nil {
		return t
	}
	now := l.started.Add(l.now)
	n := l.wanted(c, d, shared, now)
	*t = turn{shared, n, l.now + shared.Take(n, now)}
	if t.at > l.now && n > 0 {
		c.ways[d].paused = true
		shared.BeginWait()
		l.setThrottleTimer(c, th)
	}
	return t
}

// wanted is how many bytes a way takes. If they are not free, and the way has less to read than a
// buffer, it takes no more than that: conns with little to say have short turns. Of FIN that is 0.
func (l *loop) wanted(c *conn, d route.Direction, shared *route.SharedBandwidth, now time.Time) int {
	n := shared.Quantum()
	if !shared.Free(now) {
		if unread := int(l.sockets.Unread(c.ends[d].fd)); unread < buffers.Size {
			n = min(n, unread)
		}
	}
	return n
}

// endTurn ends the turn of a way, and gives back what it has not read.
func (l *loop) endTurn(c *conn, d route.Direction) {
	th := l.throttles[c]
	if th == nil || th.turns[d].shared == nil {
		return
	}
	t := &th.turns[d]
	if c.ways[d].paused {
		c.ways[d].paused = false
		t.shared.EndWait()
		l.setThrottleTimer(c, th)
	}
	t.shared.GiveBack(t.bytes)
	*t = turn{}
	if th.turns == [2]turn{} {
		delete(l.throttles, c)
	}
}

// endTurns ends both turns of a conn.
func (l *loop) endTurns(c *conn) {
	l.endTurn(c, route.ToOrigin)
	l.endTurn(c, route.ToClient)
}

// setThrottleTimer sets the timer to the end of the next pause.
func (l *loop) setThrottleTimer(c *conn, th *throttle) {
	next := wheel.Never
	for d := range c.ways {
		if c.ways[d].paused {
			next = min(next, th.turns[d].at)
		}
	}
	l.timers.Set(&th.timer, next)
}

// pauseOver lets the ways read whose turn has come.
func (l *loop) pauseOver(c *conn) {
	th := l.throttles[c]
	if th == nil { // its turns were ended in the same turn of the loop
		return
	}
	for d := range c.ways {
		if t := &th.turns[d]; c.ways[d].paused && t.at <= l.now {
			c.ways[d].paused = false
			t.shared.EndWait()
		}
	}
	c.active = l.now // it was not idle: its timeouts begin now
	l.setThrottleTimer(c, th)
	l.markReady(c)
}

// paused reports whether the conn waits for its route's bandwidth.
func (c *conn) paused() bool { return c.ways[route.ToOrigin].paused || c.ways[route.ToClient].paused }

// changeShared ends the turns of a route_bandwidth that a reload has changed: the conns take from the
// new one.
func (l *loop) changeShared() {
	for c, th := range l.throttles {
		for d := range th.turns {
			if shared := th.turns[d].shared; shared != nil && shared != c.route.Shared(route.Direction(d)) {
				l.endTurns(c)
				l.markReady(c)
				break
			}
		}
	}
}
