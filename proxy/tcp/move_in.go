package tcp

import (
	"net/netip"
	"slices"
	"time"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/origin"
	"anyport/proxy/route"
	"anyport/proxy/wheel"
)

// distribute divides the conns of another process among the loops. If a loop has ended, the next one
// gets its share; if all have, the conns are closed.
func distribute(loops []*loop, conns []Conn) {
	for i, l := range slices.Concat(loops, loops) {
		l.mailbox.Do(func() {
			share := len(conns) / max(len(loops)-i, 1)
			for n := range share {
				l.addArrival(&conns[n])
			}
			conns = conns[share:]
		})
	}
	for i := range conns {
		conns[i].Close()
	}
}

// addArrival continues a conn of another process. The route's limits do not apply again: the conn
// was within them when it began.
func (l *loop) addArrival(in *Conn) {
	set := l.routes.Set()
	r := set.Named(in.Route)
	c := &conn{id: in.ID, connected: in.Connect, client: in.Client, dst: in.Dst, sawOtherFailure: in.Unsure}
	if r == nil {
		r = l.routes.Retired(in.Route, in.Header, in.TLVs, in.Timeouts, in.Paced)
	}
	if !set.Keeps(config.TCP, in.Dst, r) {
		c.drained = l.drainedAt(in)
	}
	// The files that were kept for it become its own.
	l.reserveArrivals(-min(len(in.FDs), l.arrivalFiles))
	l.files.Insist(connFiles)
	c.route = r
	c.importInbound(in.Inbound)
	if in.Waiting {
		c.state = waiting
	}
	if c.readmit(); c.state != naming { // from here on removeConn can undo everything
		c.findOrigins(in)
	}
	l.addConn(c)
	if len(in.UniqueID) > 0 {
		l.uniqueIDs[c] = string(in.UniqueID)
	}
	c.began, c.active, c.dialled = l.sinceStart(in.Begun), l.sinceStart(in.Last), l.sinceStart(in.Dialled)
	c.ends = [2]end{{fd: int32(in.FDs[clientEnd])}, {fd: -1}}
	if c.hasOrigin() {
		c.ends[originEnd].fd = int32(in.FDs[originEnd])
	}
	if !c.hasOrigin() && !set.Keeps(config.TCP, in.Dst, r) { // the rules for its client, or its origins, are gone
		l.endConn(c, route.NoRoute)
		return
	}
	if in.Paced != r.Bandwidth { // a socket keeps its pace on the way here
		l.limitPacing(c, r.Bandwidth)
	}
	c.countSource()
	if err := l.takeOverWays(c, in); err != nil {
		l.log.Warn(l.now, "cannot continue a conn of another process", "route", r.Name, "client", c.client, "error", err)
		l.endConn(c, route.RelayFailed)
		return
	}
	l.resumeConn(c)
	if c.state == waiting {
		l.rejoinQueue(c)
		l.callFirst(c)
	}
}

// reserveArrivals keeps n more files for conns that another process will send; fewer if n is
// negative.
func (l *loop) reserveArrivals(n int) {
	l.arrivalFiles += n
	l.files.Insist(n)
}

// endArrivals frees the files that are kept, once the other process has no more conns.
func (l *loop) endArrivals() {
	l.reserveArrivals(-l.arrivalFiles)
	l.reopenGate()
}

// drainedAt is when a conn ends whose dst is no longer forwarded: as the other process has set it, or
// from now on if this process's file is the first that leaves it out.
func (l *loop) drainedAt(in *Conn) time.Duration {
	if in.Cut.IsZero() {
		return max(l.now, 1) + min(in.Timeouts.Drain, wheel.Never-l.now-1)
	}
	return max(l.sinceStart(in.Cut), 1)
}

// findOrigins finds the conn's origins in this process, by their addresses: those that it has tried, and
// its own if it has one.
func (c *conn) findOrigins(in *Conn) {
	find := func(o int) *origin.Origin { return c.route.Origins().At(in.Tried[o], in.Dst.Port()) }
	for i := range in.Tried {
		c.tried = append(c.tried, find(i))
	}
	if c.state == waiting {
		return
	}
	c.origin = c.route.Origins().At(in.Origin, in.Dst.Port())
	c.origin.Resume()
	if !in.Dialling {
		c.state = relaying
	}
}

// countSource counts the source address of a conn that another process has dialled.
func (c *conn) countSource() {
	switch {
	case !c.hasOrigin() || c.route.Transparent:
		return
	case len(c.route.Source) == 0:
		c.source = c.origin.BeginFrom(netip.Addr{})
		return
	}
	if own, err := call.LocalAddr(int(c.ends[originEnd].fd)); err == nil && slices.Contains(c.route.Source, own.Addr()) {
		c.source = c.origin.BeginFrom(own.Addr())
	}
}

// takeOverWays takes over the bytes that the conn's ways hold.
func (l *loop) takeOverWays(c *conn, in *Conn) error {
	ends := in.FDs[min(2, len(in.FDs)):]
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

// resumeConn takes a conn into service again. Adding a socket to epoll reports its state at once;
// steps that were left without an event are taken in this turn.
func (l *loop) resumeConn(c *conn) {
	if l.endsWithOrigin(c) { // closeDown leaves conns alone that are being moved
		l.endConn(c, route.OriginDown)
		return
	}
	if c.route.EndsAll() { // nor does closeInactive look at them
		l.endConn(c, route.HoursOver)
		return
	}
	for which := range c.ends {
		if c.ends[which].fd < 0 { // it dials no origin yet
			continue
		}
		if err := l.watchSocket(c, which); err != nil {
			l.endConn(c, route.RelayFailed)
			return
		}
	}
	l.planProgress(c)
	l.setTimer(c)
	l.markReady(c)
}
