package tcp

import (
	"time"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/tcp/wheel"
)

// adopt gives a conn, whose files are taken, its slot.
func (l *loop) adopt(c *conn) {
	l.generation++
	if l.generation == 0 { // is the loop's own
		l.generation++
	}
	c.generation = l.generation
	c.began, c.active = l.now, l.now
	c.timer.Value = c
	l.limit(c)
	if last := len(l.free) - 1; last >= 0 {
		c.slot, l.free = l.free[last], l.free[:last]
	} else {
		c.slot = uint32(len(l.slots))
		l.slots = append(l.slots, nil)
	}
	l.slots[c.slot] = c
	l.conns++
	l.join(c)
}

// limit bounds the rest of a conn's life while the loop drains; one whose route is gone
// has its bound already.
func (l *loop) limit(c *conn) {
	if l.draining() && c.drained == 0 {
		c.drained = l.drainBegan + min(max(c.route.Drain, l.drainLeast), wheel.Never-l.drainBegan)
	}
}

// watch sets the conn's timer to the next moment that needs a look.
func (l *loop) watch(c *conn) {
	at, _ := c.due(c.route.Timeouts)
	l.timers.Set(&c.timer, at)
}

// expire looks whether the deadline has moved since the timer was set, as every
// byte moves it; if not, the conn is over, or the next origin has its chance.
func (l *loop) expire(c *conn) {
	at, v := c.due(c.route.Timeouts)
	switch {
	case c.moving || c.state == over: // or it gave way in the moment in which it was due
	case at > l.now:
		l.timers.Set(&c.timer, at)
	case v == route.Undecided:
		l.probe(c)
		l.watch(c)
	case v == route.ConnectTimedOut:
		l.giveUp(c, false)
		l.dial(c, v)
	case v != route.DrainTimedOut && c.delivering(l.sockets):
		c.active = l.now
		l.watch(c)
	default:
		l.end(c, v)
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

// end ends a conn; another one may begin in its place.
func (l *loop) end(c *conn, v route.Verdict) {
	l.conclude(c, v)
	l.reopen()
}

// conclude is the one way out of a conn's life.
func (l *loop) conclude(c *conn, v route.Verdict) {
	ended := c.record(v, l.wall(c.began), l.now)
	// Before the close: a client that then comes back at once has its place.
	l.forget(c)
	c.route.Stats.Shard(l.shard).End(config.TCP, v)
	c.close(l.sockets, v)
	l.record(ended)
}

// forget gives back all that a conn has but its sockets.
func (l *loop) forget(c *conn) {
	c.state = over
	l.timers.Stop(&c.timer)
	for d := range c.ways {
		l.empty(&c.ways[d])
	}
	l.part(c)
	l.slots[c.slot] = nil
	l.free = append(l.free, c.slot)
	l.conns--
	l.files.Give(connFiles)
	if c.origin != nil {
		c.origin.End()
	}
	c.route.Release(config.TCP, c.client.Addr())
}

// empty gives back what a way holds.
func (l *loop) empty(w *way) {
	if w.held != nil {
		l.buffers.Drop(w.held)
		w.held = nil
	}
	if w.pipe != nil {
		l.pipes.Return(w.pipe)
		w.pipe = nil
	}
}

// close ends both sockets: with FIN when both sides had closed in order, and
// otherwise with RST, for a conn that was cut must not look complete.
func (c *conn) close(on sockets, v route.Verdict) {
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

// wall is the time of a moment by the clock as it is now, which may have been set since the loop was
// started: another process reckons from its own clock how long ago that was.
func (l *loop) wall(at time.Duration) time.Time { return time.Now().Add(at - l.time()) }

// moment is the inverse of wall, for what another process has told.
func (l *loop) moment(wall time.Time) time.Duration { return l.time() - time.Since(wall.Round(0)) }
