package tcp

import (
	"errors"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

var errConnectTimeout = errors.New("no answer within connect_timeout")

// originFailures are the errors of connect(2) that say something about the origin. Others are of this
// host: a source address that is not there, or no port left.
var originFailures = []error{
	unix.ECONNREFUSED, errConnectTimeout, unix.ETIMEDOUT, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN,
}

// failureOf is what a failed dial says about the origin; not ok if it says nothing.
func failureOf(err error) (f origin.Failure, ok bool) {
	for _, of := range originFailures {
		if errors.Is(err, of) {
			return origin.Failure{Refused: of == unix.ECONNREFUSED}, true
		}
	}
	return f, false
}

// noteFailure notes what the conn's dial says about its origin: enough of them in a row eject it.
func (l *loop) noteFailure(c *conn, err error) {
	f, ok := failureOf(err)
	if !ok {
		return
	}
	f.Port, f.Began = c.origin.Port(c.dst.Port()), l.moment(c.dialled)
	now := l.moment(l.clock())
	c.origin.WayFailed(f.Port, f.Refused, now)
	if c.route.Origins().DialFailed(c.origin, f, now) {
		l.log.Logger.Warn("an origin is ejected: new conns go to the others for a while",
			"route", c.route.Name, "origin", c.origin.Text, "port", f.Port, "error", err)
	}
}

// noteAccepted notes that the conn's origin has accepted it.
func (l *loop) noteAccepted(c *conn) {
	port := c.origin.Port(c.dst.Port())
	c.origin.WayAccepted()
	if c.origin.Accepted(port, l.moment(l.clock())) {
		l.log.Logger.Info("an origin accepts conns again", "route", c.route.Name, "origin", c.origin.Text, "port", port)
	}
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
			l.endConn(c, route.OriginDown)
		}
	}
}

// endsWithOrigin reports whether the conn ends now because its origin went down. One that was dialled
// while the origin was down already goes on: on_all_down = "try" or a panic has picked it all the same.
func (l *loop) endsWithOrigin(c *conn) bool {
	return c.state == relaying && c.route.OnDown == config.CloseConns && c.origin.Standing().Down() &&
		l.moment(c.dialled).Before(c.origin.State().Since)
}
