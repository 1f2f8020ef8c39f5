package tcp

import (
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// endsATurn bounds the conns that one turn ends, by their timers and before their time. Very many can be due
// at once, as all of a route that a reload has removed, or of an origin that went down: to end them in one
// turn would keep the others waiting.
const endsATurn = 64

// ending is a conn that the loop is about to end, before its time.
type ending struct {
	conn    *conn
	verdict route.Verdict
}

// endLater has a conn ended in this turn or one of the next.
func (l *loop) endLater(c *conn, v route.Verdict) { l.ending = append(l.ending, ending{c, v}) }

// endDue ends conns that endLater was told of, as many as a turn may. Some have ended since; and of one
// that is moving, the process that has it in the end finds the same.
func (l *loop) endDue() {
	n := min(len(l.ending), endsATurn)
	for _, e := range l.ending[:n] {
		if e.conn.state != closed && !e.conn.moving {
			l.endConn(e.conn, e.verdict)
		}
	}
	if l.ending = l.ending[n:]; len(l.ending) == 0 {
		l.ending = nil
	}
}

// endConn ends a conn with a verdict. Its files may let the next one in.
func (l *loop) endConn(c *conn, v route.Verdict) {
	l.closeConn(c, v)
	l.reopenGate()
}

// closeConn is the only way out of a conn's life in this process: everything that it holds is given
// back, its end is counted and recorded, and its sockets are closed.
func (l *loop) closeConn(c *conn, v route.Verdict) {
	l.noteEnd(c, v)
	wanted := l.routes.Recording()
	recorded, trace := wanted.Wants(c.id, config.TCP, v, c.attempts()), l.routes.Trace()
	var ended route.Record
	if recorded || trace != nil {
		ended = l.connRecord(c, v)
	}
	if c.state == relaying {
		took := l.now - c.began
		c.route.Stats.Shard(l.shard).Served(config.TCP, took)
		c.origin.Served(took)
	}
	// Before the close: a client that comes back at once must find its place free.
	l.removeConn(c)
	c.route.CountEnd(l.shard, config.TCP, v)
	c.closeSockets(l.sockets, v)
	if recorded {
		wanted.To(ended)
	}
	if trace != nil {
		trace(route.Traced{At: time.Now(), Step: route.StepEnded, Record: ended})
	}
}

// closeSockets closes both sockets: with FIN if both sides have ended in order, and otherwise with
// RST, since a conn that was cut must not look complete.
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

// wallTime is a moment of the loop by the wall clock as it is set now, not as it was set when the
// loop started: another process compares it with the same clock.
func (l *loop) wallTime(at time.Duration) time.Time { return time.Now().Add(at - l.clock()) }

// sinceStart is the inverse of wallTime, for a wall time that another process has sent.
func (l *loop) sinceStart(wall time.Time) time.Duration { return l.clock() - time.Since(wall.Round(0)) }
