package tcp

import (
	"errors"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// mostTried is how many origins a conn tries: the first and up to three others, so that a conn to a
// route with many dead origins ends before its client gives up.
const mostTried = 4

// dialNext picks an origin and begins to dial it; if that fails at once, the next one. The
// answer comes as an event, for dialEvent. If no origin is left, v is the conn's verdict.
func (l *loop) dialNext(c *conn, v route.Verdict) {
	for {
		if c.origin = l.pickOrigin(c); c.origin == nil {
			c.origin = c.takeHurried()
		}
		if c.origin == nil {
			l.noOriginLeft(c, v)
			return
		}
		if !c.origin.TryBegin() { // another loop was faster; otherwise leaveOrigin ends it
			c.origin = nil
			continue
		}
		l.noteDial(c)
		l.leaveQueue(c)
		err := l.dialPicked(c)
		if err == nil {
			l.trace(c, route.StepDialling)
			l.setTimer(c)
			return
		}
		l.log.Debug("cannot dial an origin", "route", c.route.Name, "origin", c.origin.Text, "error", err)
		if scarce(err) { // the host has none left: the conn has taken its files from the quota
			l.shutGate(err)
			l.endConn(c, route.OutOfFiles)
			return
		}
		l.giveUpOrigin(c, err)
		switch {
		case errors.Is(err, call.ErrNoPort):
			v = route.OutOfPorts
		case errors.Is(err, call.ErrClientPort):
			v = route.ClientPortInUse
		default:
			v = route.ConnectFailed
		}
	}
}

// noteDial counts what led to a dial: a wait in the queue, or a dial before it that has failed.
func (l *loop) noteDial(c *conn) {
	if c.state == waiting {
		c.route.Stats.Shard(l.shard).Waited(l.now - c.dialled)
	}
	if c.attempts() > 1 {
		failed := c.origin // taken back by takeHurried
		if n := len(c.tried); n > 0 {
			failed = c.tried[n-1]
		}
		c.route.Stats.Shard(l.shard).Retried(c.origin.RetriedFrom(failed))
	}
}

// noOriginLeft goes on with a conn that finds no origin: it waits for one, or ends with verdict v.
func (l *loop) noOriginLeft(c *conn, v route.Verdict) {
	all, ask := c.route.Origins(), l.ask(c)
	if len(c.tried) == 0 && all.Unreachable(ask) {
		l.log.Warn(l.now, "no origin of a transparent route can be dialled from the client's address", "route", c.route.Name, "client", c.client)
		l.endConn(c, route.NoneForClient)
		return
	}
	// A candidate was full at the pick. It may have room by now: waitForOrigin looks again.
	if len(c.tried) < mostTried && (all.HasCandidate(ask) || l.behindOthers(c)) {
		l.waitForOrigin(c)
		return
	}
	if len(c.tried) > 0 && !c.sawOtherFailure && all.AllTried(c.tried) { // each of them has sent RST: dst is closed
		l.mirror.Refused(c.route, config.TCP, c.dst)
	}
	l.endConn(c, v)
}

// pickOrigin picks the next origin; nil if none is left, enough were tried, or others come first.
func (l *loop) pickOrigin(c *conn) *origin.Origin {
	if len(c.tried) >= mostTried || l.behindOthers(c) {
		return nil
	}
	return c.route.Origins().Pick(l.ask(c))
}

// ask is what the conn needs an origin for.
func (l *loop) ask(c *conn) origin.Ask {
	return origin.Ask{Client: c.client.Addr(), Protocol: config.TCP, Port: c.dst.Port(), Tried: c.tried, Now: l.moment(l.clock()), AsClient: c.route.Transparent}
}

// moment is a moment of the loop as a time, for what is shared with other goroutines.
func (l *loop) moment(at time.Duration) time.Time { return l.started.Add(at) }

// dialPicked begins to dial the picked origin.
func (l *loop) dialPicked(c *conn) error {
	to := c.origin.At(c.dst.Port())
	if !to.IsValid() {
		return origin.ErrNoAddress
	}
	c.dialled = l.clock() // exact, for the histogram of connect times
	c.hurries = c.hurried != takenBack && c.origin.HasOtherWay(c.tried, l.moment(c.dialled))
	dial := l.connectFromSources
	if c.route.Transparent {
		dial = l.connectAsClient
	}
	if err := dial(c, to); err != nil {
		return err
	}
	return l.watchSocket(c, originEnd)
}

// giveUpOrigin ends the dial in progress, which has failed with err. The conn does not try this
// origin again.
func (l *loop) giveUpOrigin(c *conn, err error) {
	c.sawOtherFailure = c.sawOtherFailure || !errors.Is(err, unix.ECONNREFUSED)
	l.noteFailure(c, err)
	l.trace(c, route.StepDialFailed)
	if fd := c.ends[originEnd].fd; fd >= 0 {
		l.sockets.Close(fd)
	}
	c.ends[originEnd] = end{fd: -1}
	c.tried = append(c.tried, c.origin)
	c.leaveOrigin()
}

// leaveOrigin undoes that the conn is counted with its origin, if it has one.
func (c *conn) leaveOrigin() {
	if c.origin != nil {
		c.origin.EndFrom(c.source)
		c.origin.End()
	}
	c.origin, c.source = nil, 0 // or removeConn would undo it a second time
}

// otherWayAfter is how long a dial may take before the other address of the same server is dialled:
// the Connection Attempt Delay of RFC 8305 §5.
const otherWayAfter = 250 * time.Millisecond

// dialTimedOut gives up the dial in progress. If it was given only otherWayAfter, its address is dialled
// again if all else fails.
func (l *loop) dialTimedOut(c *conn) {
	hurried := c.hurries
	l.giveUpOrigin(c, connectTimeout{})
	if hurried && c.hurried == 0 && len(c.tried) < takenBack {
		c.hurried = uint8(len(c.tried))
	}
	l.dialNext(c, route.ConnectTimedOut)
}

// takenBack stands in conn.hurried for an address that takeHurried has returned.
const takenBack = math.MaxUint8

// takeHurried takes back an address whose dial was not given connect_timeout; nil if there is none. It
// returns one address in the life of a conn, which is then dialled for all of connect_timeout: otherwise
// the conn would dial it again and again, until its client gives up.
func (c *conn) takeHurried() *origin.Origin {
	if c.hurried == 0 || c.hurried == takenBack {
		return nil
	}
	at := int(c.hurried) - 1
	o := c.tried[at]
	c.tried, c.hurried = slices.Delete(c.tried, at, at+1), takenBack
	return o
}

// dialEvent goes on with a conn that dials, after an event of one of its sockets.
func (l *loop) dialEvent(c *conn) {
	switch c.dialResult() {
	case dialAbandoned:
		l.endConn(c, route.ResetByClient)
	case dialAccepted: // the socket became writable without an error
		if l.dialledItself(c) {
			l.tryNext(c, errDialledItself)
			return
		}
		l.startRelay(c)
	case dialRejected:
		l.dialFailed(c)
	}
}

// dialFailed goes on with the next origin, unless this one accepted and reset at once: then it
// has answered, and the client gets its bytes and its RST.
func (l *loop) dialFailed(c *conn) {
	err := l.sockets.TakeError(c.ends[originEnd].fd)
	if errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) { // EPIPE: after its FIN
		l.startRelay(c)
		return
	}
	l.tryNext(c, err)
}

// tryNext goes on with the next origin after err. Nothing was sent to this one, so nothing is lost.
func (l *loop) tryNext(c *conn, err error) {
	l.log.Debug("cannot dial an origin", "route", c.route.Name, "origin", c.origin.Text, "error", err)
	l.giveUpOrigin(c, err)
	l.dialNext(c, route.ConnectFailed)
}
