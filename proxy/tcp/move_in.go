package tcp

import (
	"slices"
	"time"

	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/route"
	"anyport/proxy/tcp/wheel"
)

// adoptAll shares out the conns of another process to the loops. What a loop does not take
// any more, for it has ended, is the next one's, and at last of nobody.
func adoptAll(loops []*loop, conns []Conn) {
	for i, l := range slices.Concat(loops, loops) {
		l.orders.Do(func() {
			share := len(conns) / max(len(loops)-i, 1)
			for n := range share {
				l.arrive(&conns[n])
			}
			conns = conns[share:]
		})
	}
	for i := range conns {
		conns[i].Close()
	}
}

// arrive goes on with a conn of another process. It is not asked for the limits, which
// it met when it began.
func (l *loop) arrive(in *Conn) {
	set := l.routes.Set()
	r := set.Named(in.Route)
	c := &conn{client: in.Client, dst: in.Dst, unsure: in.Unsure}
	if r == nil {
		r = l.routes.Retired(in.Route, in.Header, in.Timeouts)
	}
	if !set.Keeps(config.TCP, in.Dst, r) {
		c.drained = l.cut(in)
	}
	r.Readmit(config.TCP, in.Client.Addr())
	l.expect(-min(len(in.FDs), l.expected))
	l.files.Insist(connFiles)
	c.route = r
	c.reach(in)
	l.adopt(c)
	c.began, c.active, c.dialled = l.moment(in.Begun), l.moment(in.Last), l.moment(in.Dialled)
	for i := range c.ends {
		c.ends[i] = end{fd: int32(in.FDs[i])}
	}
	if err := l.carry(c, in); err != nil {
		l.log.Warn(l.now, "a conn of another process cannot go on", "route", r.Name, "client", c.client, "error", err)
		l.end(c, route.RelayFailed)
		return
	}
	l.enter(c)
}

// expect keeps n more files for conns that another process will give; fewer where n is
// negative.
func (l *loop) expect(n int) {
	l.expected += n
	l.files.Insist(n)
}

// expectNone is for when the other process has no more conns.
func (l *loop) expectNone() {
	l.expect(-l.expected)
	l.reopen()
}

// cut is when a conn ends whose dst is not forwarded any more, maybe since this process
// began.
func (l *loop) cut(in *Conn) time.Duration {
	if in.Cut.IsZero() {
		return max(l.now, 1) + min(in.Timeouts.Drain, wheel.Never-l.now-1)
	}
	return max(l.moment(in.Cut), 1)
}

// reach finds the conn's origins again.
func (c *conn) reach(in *Conn) {
	find := func(o int) *origin.Origin { return c.route.Origins.At(in.Tried[o], in.Dst.Port()) }
	for i := range in.Tried {
		c.tried = append(c.tried, find(i))
	}
	c.origin = c.route.Origins.At(in.Origin, in.Dst.Port())
	c.origin.Begin()
	if !in.Dialling {
		c.state = relaying
	}
}

// carry takes over what the conn's ways hold.
func (l *loop) carry(c *conn, in *Conn) error {
	ends := in.FDs[2:]
	for d, from := range in.Ways {
		w := &c.ways[d]
		w.bytes, w.ended, w.finished = from.Bytes, from.Ended, from.Finished
		if len(from.Held) > 0 {
			w.held = l.buffers.Keep(from.Held)
		}
		if from.Piped > 0 {
			w.pipe = l.pipes.Adopt(ends[0], ends[1], from.Piped)
			ends = ends[2:]
		}
	}
	for d := range c.ways { // after all of them: an error ends the conn with what it holds
		if p := c.ways[d].pipe; p != nil {
			if err := p.Measure(); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter takes a conn that was elsewhere into service. Epoll tells at once what it would
// have told before; what was left to do without an event is done in this turn.
func (l *loop) enter(c *conn) {
	for which := range c.ends {
		if err := l.poll(c, which); err != nil {
			l.end(c, route.RelayFailed)
			return
		}
	}
	l.watch(c)
	l.queue(c)
}
