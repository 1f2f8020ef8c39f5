package tcp

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
)

// endConn ends a conn with a verdict. Its files may let the next one in.
func (l *loop) endConn(c *conn, v route.Verdict) {
	l.closeConn(c, v)
	l.reopenGate()
}

// closeConn is the only way out of a conn's life in this process: everything that it holds is given
// back, its end is counted and recorded, and its sockets are closed.
func (l *loop) closeConn(c *conn, v route.Verdict) {
	l.noteEnd(c, v)
	ended := c.endRecord(v, l.wallTime(c.began), l.now)
	ended.UniqueID = l.uniqueIDs[c]
	// Before the close: a client that comes back at once must find its place free.
	l.removeConn(c)
	c.route.Stats.Shard(l.shard).End(config.TCP, v)
	c.closeSockets(l.sockets, v)
	l.record(ended)
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

// newRecord is the record of a conn that moved no byte.
func newRecord(name string, client, dst netip.AddrPort, v route.Verdict, began time.Time) route.Record {
	return route.Record{Begun: began, Protocol: config.TCP, Route: name, Client: client, Dst: dst, Verdict: v}
}

// endRecord is the record of a conn that ends now.
func (c *conn) endRecord(v route.Verdict, began time.Time, now time.Duration) route.Record {
	r := newRecord(c.route.Name, c.client, c.dst, v, began)
	r.Took, r.Peer = now-c.began, c.peer()
	r.ToOrigin, r.ToClient = c.ways[route.ToOrigin].bytes, c.ways[route.ToClient].bytes
	o := c.origin
	if o == nil && len(c.tried) > 0 {
		o = c.tried[len(c.tried)-1]
	}
	if o != nil {
		r.Origin = o.At(c.dst.Port())
	}
	if c.origin == nil || c.state == relaying { // otherwise its dial goes on, and the error is of another one
		r.Error, r.Errno = c.failure, unix.Errno(c.errno)
	}
	return r
}

// wallTime is a moment of the loop by the wall clock as it is set now, not as it was set when the
// loop started: another process compares it with the same clock.
func (l *loop) wallTime(at time.Duration) time.Time { return time.Now().Add(at - l.clock()) }

// sinceStart is the inverse of wallTime, for a wall time that another process has sent.
func (l *loop) sinceStart(wall time.Time) time.Duration { return l.clock() - time.Since(wall.Round(0)) }
