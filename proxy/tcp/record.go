package tcp

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/route"
	"anyport/proxy/wheel"
)

// newRecord is the record of a conn that moved no byte.
func newRecord(name string, client, dst netip.AddrPort, v route.Verdict, began time.Time) route.Record {
	return route.Record{Begun: began, Protocol: config.TCP, Route: name, Client: client, Dst: dst, Verdict: v}
}

// connRecord is the record of a conn as it is now. It asks the kernel about the conn's sockets, so they
// must be open.
func (l *loop) connRecord(c *conn, v route.Verdict) route.Record {
	r := newRecord(c.route.Name, c.client, c.dst, v, l.wallTime(c.began))
	r.ID, r.Took, r.Peer, r.UniqueID = c.id, l.now-c.began, c.peer(), l.uniqueIDs[c]
	r.Attempts, r.Phase, r.Connect = c.attempts(), c.phase(), time.Duration(c.connected)*time.Microsecond
	for d := range c.ways {
		r.Sent[d].Bytes = c.ways[d].bytes
		l.askSent(&r.Sent[d], c.ends[1-d].fd)
	}
	if o := c.lastOrigin(); o != nil {
		r.Origin = o.At(c.dst.Port())
	}
	if c.origin == nil || c.state == relaying { // otherwise its dial goes on, and the error is of another one
		r.Error, r.Errno = c.failure, unix.Errno(c.errno)
	}
	if c.state == relaying {
		r.Source = l.sockets.LocalAddr(c.ends[originEnd].fd)
	} else {
		r.Sent[route.ToOrigin] = route.Sent{} // a dial has sent nothing yet
	}
	return r
}

// lastOrigin is the one that is dialled or relayed to, or else the last that was tried; nil: none was.
func (c *conn) lastOrigin() *origin.Origin {
	if c.origin == nil && len(c.tried) > 0 {
		return c.tried[len(c.tried)-1]
	}
	return c.origin
}

// askSent adds what TCP knows of what went to a socket.
func (l *loop) askSent(s *route.Sent, fd int32) {
	if fd < 0 {
		return
	}
	info := l.sockets.Info(fd)
	s.Packets, s.RTT = uint64(info.DataSent), time.Duration(info.RTT)*time.Microsecond
}

// phase is how far the conn has come.
func (c *conn) phase() route.Phase {
	switch {
	case c.state == naming:
		return route.AtAdmission
	case c.state == waiting:
		return route.InQueue
	case c.state == dialling:
		return route.AtConnect
	case c.ways[route.ToClient].ended:
		return route.InLast
	}
	return route.InData
}

// attempts is how many origins the conn has dialled.
func (c *conn) attempts() int {
	n := len(c.tried)
	if c.origin != nil {
		n++
	}
	if c.hurried == takenBack { // that one was dialled twice
		n++
	}
	return n
}

// planProgress sets when the access log gets the conn's next line.
func (l *loop) planProgress(c *conn) {
	c.progress = 0
	if c.state != relaying {
		return
	}
	if at, ok := l.recording.NextProgress(c.id, c.began, l.now); ok {
		c.progress = uint32((at + progressTick - 1) / progressTick)
	}
}

// progressTick is the unit of conn.progress, which has four bytes.
const progressTick = 100 * time.Millisecond

// progressAt is when the access log gets the conn's next line before its end.
func (c *conn) progressAt() time.Duration {
	if c.progress == 0 {
		return wheel.Never
	}
	return time.Duration(c.progress) * progressTick
}

// recordProgress records a live conn, and plans the next time.
func (l *loop) recordProgress(c *conn) {
	if l.recording.WantsProgress(c.id) {
		r := l.connRecord(c, route.Admitted)
		r.Live = true
		l.recording.To(r)
	}
	l.planProgress(c)
}

// applyRecording applies to live conns that the access log, or the time between its lines, has changed.
func (l *loop) applyRecording() {
	before := l.recording
	l.recording = l.routes.Recording()
	if l.recording.SameProgress(before) {
		return
	}
	for _, c := range l.slots {
		if c != nil && !c.moving {
			l.planProgress(c)
			l.setTimer(c)
		}
	}
}
