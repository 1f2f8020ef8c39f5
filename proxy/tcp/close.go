package tcp

import (
	"time"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/tcp/wheel"
)

// addConn gives a conn, whose files are taken, its slot.
func (l *loop) addConn(c *conn) {
	l.generation++
	if l.generation == 0 { // is the loop's own
		l.generation++
	}
	c.generation = l.generation
	c.began, c.active = l.now, l.now
	c.timer.Value = c
	l.limitByDrain(c)
	if last := len(l.free) - 1; last >= 0 {
		c.slot, l.free = l.free[last], l.free[:last]
	} else {
		c.slot = uint32(len(l.slots))
		l.slots = append(l.slots, nil)
	}
	l.slots[c.slot] = c
	l.connCount++
	l.addToClient(c)
}

// limitByDrain bounds the rest of a conn's life while the loop drains; one whose route is gone
// has its bound already.
func (l *loop) limitByDrain(c *conn) {
	if l.draining() && c.drained == 0 {
		c.drained = l.drainBegan + min(max(c.route.Drain, l.drainAtLeast), wheel.Never-l.drainBegan)
	}
}

// setTimer sets the conn's timer to the next moment that needs a look.
func (l *loop) setTimer(c *conn) {
	at, _ := c.timerAt(c.route.Timeouts)
	l.timers.Set(&c.timer, at)
}

// timerFired looks whether the deadline has moved since the timer was set, as every
// byte moves it; if not, the conn is over, or the next origin has its chance.
func (l *loop) timerFired(c *conn) {
	at, v := c.timerAt(c.route.Timeouts)
	switch {
	case c.moving || c.state == closed: // or it gave way in the moment in which it was due
	case at > l.now:
		l.timers.Set(&c.timer, at)
	case v == route.Undecided:
		l.enableKeepalive(c)
		l.setTimer(c)
	case v == route.ConnectTimedOut:
		l.giveUpOrigin(c, false)
		l.dialNext(c, v)
	case v != route.DrainTimedOut && c.delivering(l.sockets):
		c.active = l.now
		l.setTimer(c)
	default:
		l.endConn(c, v)
	}
}

// delivering reports whether a peer has taken bytes since this was last asked. The
// kernel's queue can keep a slow reader busy for minutes after the last byte has passed
// through here, and an RST would cut what it has still to read. A reader that stalls is
// found at the second time.
func (c *conn) delivering(on sockets) bool {
	before := c.queue
	c.queue = 0
	for _, e := range c.ends {
		c.queue += on.Unacked(e.fd)
	}
	return c.queue > 0 && c.queue != before
}

// endConn ends a conn; another one may begin in its place.
func (l *loop) endConn(c *conn, v route.Verdict) {
	l.closeConn(c, v)
	l.reopenGate()
}

// closeConn is the one way out of a conn's life.
func (l *loop) closeConn(c *conn, v route.Verdict) {
	ended := c.newRecord(v, l.wallTime(c.began), l.now)
	// Before the close: a client that then comes back at once has its place.
	l.removeConn(c)
	c.route.Stats.Shard(l.shard).End(config.TCP, v)
	c.closeSockets(l.sockets, v)
	l.record(ended)
}

// removeConn gives back all that a conn has but its sockets.
func (l *loop) removeConn(c *conn) {
	c.state = closed
	l.timers.Stop(&c.timer)
	for d := range c.ways {
		l.releaseWay(&c.ways[d])
	}
	l.removeFromClient(c)
	l.slots[c.slot] = nil
	l.free = append(l.free, c.slot)
	l.connCount--
	l.files.Give(connFiles)
	if c.origin != nil {
		c.origin.End()
	}
	c.route.Release(config.TCP, c.client.Addr())
}

// releaseWay gives back what a way holds.
func (l *loop) releaseWay(w *way) {
	if w.held != nil {
		l.buffers.Drop(w.held)
		w.held = nil
	}
	if w.pipe != nil {
		l.pipes.Return(w.pipe)
		w.pipe = nil
	}
}

// closeSockets ends both sockets: with FIN when both sides had closed in order, and
// otherwise with RST, for a conn that was cut must not look complete.
func (c *conn) closeSockets(on sockets, v route.Verdict) {
	for _, e := range c.ends {
		switch {
		case e.fd < 0:
		case v == route.Closed:
			on.Close(e.fd)
		default:
			on.Reset(e.fd)
		}
	}
}

// wallTime is the time of a moment by the clock as it is now, which may have been set since the loop was
// started: another process reckons from its own clock how long ago that was.
func (l *loop) wallTime(at time.Duration) time.Time { return time.Now().Add(at - l.clock()) }

// sinceStart is the inverse of wallTime, for a wall time that another process has sent.
func (l *loop) sinceStart(wall time.Time) time.Duration { return l.clock() - time.Since(wall.Round(0)) }
