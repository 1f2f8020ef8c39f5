package tcp

import (
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// connectTimeout is the error of a dial that had no answer within connect_timeout.
type connectTimeout struct{}

func (connectTimeout) Error() string { return "no answer within connect_timeout" }

func (connectTimeout) Unwrap() error { return unix.ETIMEDOUT }

// noteFailure notes what the conn's dial says about its origin: enough of them in a row eject it.
func (l *loop) noteFailure(c *conn, err error) {
	class, errno := origin.ClassOf(err)
	c.failure, c.errno = class, uint8(errno)
	f := origin.Failure{Port: c.origin.Port(c.dst.Port()), Class: class, Errno: errno, Began: l.moment(c.dialled)}
	now := l.moment(l.clock())
	if f.OfOrigin() {
		c.origin.WayFailed(f.Port, class == origin.ErrorRefused, now)
	}
	ejected, alarm := c.route.Origins().DialFailed(c.origin, f, now)
	if ejected {
		l.log.Logger.Warn("an origin is ejected: new conns go to the others for a while",
			"route", c.route.Name, "origin", c.origin.Text, "port", f.Port, "error", err)
	}
	alarm.Log(l.log.Logger)
}

// noteAccepted notes that the conn's origin has accepted it.
func (l *loop) noteAccepted(c *conn) {
	port, now := c.origin.Port(c.dst.Port()), l.moment(l.clock())
	c.failure, c.errno = origin.NoError, 0
	c.origin.WayAccepted()
	if c.origin.Accepted(port, now) {
		l.log.Logger.Info("an origin accepts conns again", "route", c.route.Name, "origin", c.origin.Text, "port", port)
	}
	c.route.Origins().Succeeded(c.origin, config.TCP, now).Log(l.log.Logger)
}

// noteEnd notes an end that says something about an origin that had accepted the conn.
func (l *loop) noteEnd(c *conn, v route.Verdict) {
	switch {
	case c.state != relaying:
		return
	case v == route.HeaderFailed:
		c.failure, c.errno = origin.ErrorHeader, 0
	case v == route.ResetByOrigin && c.ways[route.ToClient].bytes == 0:
		c.failure, c.errno = origin.ErrorReset, uint8(unix.ECONNRESET)
	default:
		return
	}
	c.origin.Mention(origin.Failure{Class: c.failure, Errno: unix.Errno(c.errno)}, l.moment(l.now))
}

// closeDown ends the conns of origins that are down, on routes with on_down = "close".
func (l *loop) closeDown() {
	downs := l.routes.Downs()
	if downs == l.downs {
		return
	}
	l.downs = downs
	for _, c := range l.slots {
		if c != nil && !c.moving && l.endsWithOrigin(c) {
			l.endLater(c, route.OriginDown)
		}
	}
}

// endsWithOrigin reports whether the conn ends now because its origin went down. One that was dialled
// while the origin was down already goes on: on_all_down = "try" or a panic has picked it all the same.
func (l *loop) endsWithOrigin(c *conn) bool {
	return c.state == relaying && c.route.OnDown == config.CloseConns && c.origin.Standing().Down() &&
		l.moment(c.dialled).Before(c.origin.State().Since)
}
