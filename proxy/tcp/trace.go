package tcp

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// trace tells whoever traces that the conn has come to a step before its end; closeConn tells of that.
func (l *loop) trace(c *conn, step route.Step) {
	if to := l.routes.Trace(); to != nil {
		to(route.Traced{At: time.Now(), Step: step, Record: l.stepRecord(c, step)})
	}
}

// stepRecord is what is known of a live conn without asking the kernel.
func (l *loop) stepRecord(c *conn, step route.Step) route.Record {
	r := newRecord(c.route.Name, c.client, c.dst, route.Admitted, l.wallTime(c.began))
	r.ID, r.Live, r.Took, r.Peer, r.Phase = c.id, true, l.clock()-c.began, c.peer(), c.phase()
	r.Attempts, r.Connect = c.attempts(), time.Duration(c.connected)*time.Microsecond
	if o := c.lastOrigin(); o != nil {
		r.Origin = o.At(c.dst.Port())
	}
	if step == route.StepDialFailed {
		r.Error, r.Errno = c.failure, unix.Errno(c.errno)
	}
	return r
}
