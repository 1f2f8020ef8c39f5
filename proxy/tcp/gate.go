package tcp

import (
	"errors"
	"time"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/client"
	"anyport/proxy/route"
	"anyport/proxy/wheel"
)

// gate stops a loop from accepting when there are no files for more conns: they wait in the accept
// queue, and the loop does not spin on a listener that stays readable. Each loop has one.
//
// Which client a conn is from is known only after accept. So each loop may hold one conn beyond its
// quota: it is parked until there are files for it, or until it is refused.
type gate struct {
	shut       bool               // the listeners are not watched
	parked     accepted           // only while shut; the zero value is none
	timer      wheel.Timer[*conn] // tries again: other loops and UDP can free files too
	shortSince time.Duration      // since when conns have waited without the queue ever being empty; 0: they have not
	warned     time.Duration      // the last warning; 0: none
}

// connFiles is the number of files that a conn takes: a socket on each side.
const connFiles = 2

// ParkedFiles is what each loop may hold beyond its quota: the files of its parked conn.
const ParkedFiles = connFiles

const (
	gateRetryEvery = time.Second
	gateParkMost   = 2 * time.Second // then conns of large clients are refused
	gateWarnEvery  = time.Minute
)

var errNoFiles = errors.New("the conns' share of the open files is used up")

// reserveFiles takes the files of a new conn, if need be from an idle conn of a larger client. If
// there are none, the conn is parked (Undecided) and the gate shuts. After gateParkMost, conns of
// clients that hold much already are refused instead, until the queue is empty: conns of others
// may be behind them.
func (l *loop) reserveFiles(n accepted) route.Verdict {
	who := client.Of(n.client.Addr())
	switch {
	case l.takeFiles() || !l.files.Overdrawn() && l.evictFor(who) && l.takeFiles():
		return route.Admitted
	case l.gate.shortSince != 0 && l.now-l.gate.shortSince >= gateParkMost && l.clients.holdsMuch(who, l.connCount):
		return route.OutOfFiles
	case l.gate.shortSince == 0:
		l.gate.shortSince = max(l.now, 1)
	}
	if n.id == 0 {
		n.id, n.since = l.ids.Next(), l.now
	}
	l.gate.parked = n
	l.shutGate(errNoFiles)
	return route.Undecided
}

// takeFiles takes the files of one more conn, which matters more than spare pipes.
func (l *loop) takeFiles() bool {
	if l.files.Take(connFiles) {
		return true
	}
	l.pipes.CloseSpare()
	return l.files.Take(connFiles)
}

// shutGate stops accepting until a conn ends or the gate's timer fires.
func (l *loop) shutGate(why error) {
	if l.gate.shut {
		return
	}
	l.gate.shut = true
	l.warnNoFiles(why)
	for _, fd := range l.listeners {
		l.unwatchListener(fd)
	}
	l.pipes.CloseSpare()
	l.timers.Set(&l.gate.timer, l.now+gateRetryEvery)
}

// warnNoFiles writes one line for all conns that wait.
func (l *loop) warnNoFiles(why error) {
	if l.gate.warned == 0 || l.now-l.gate.warned >= gateWarnEvery {
		l.gate.warned = max(l.now, 1)
		l.log.Logger.Warn("new conns wait in the accept queue until others end", "error", why, "conns", l.connCount, "hint", "raise the limit of open files")
	}
}

// reopenGate opens a shut gate if there are files for a conn. It is called when a conn has ended.
func (l *loop) reopenGate() {
	if !l.gate.shut {
		return
	}
	if !l.takeFiles() {
		l.timers.Set(&l.gate.timer, l.now+gateRetryEvery)
		return
	}
	l.files.Give(connFiles)
	l.openGate()
}

// retryGate is what the gate's timer calls. A parked conn is judged again, since conns may have
// become idle, or gateParkMost may have passed.
func (l *loop) retryGate() {
	if l.gate.parked.exists() {
		l.openGate()
	} else {
		l.reopenGate()
	}
}

// openGate opens the gate. The parked conn comes first, and may shut it again.
func (l *loop) openGate() {
	l.gate.shut = false
	l.timers.Stop(&l.gate.timer)
	if n := l.gate.takeParked(); n.exists() {
		l.admitConn(n)
	}
	l.listenAll()
}

// listenAll watches the listeners, unless there is another reason not to accept.
func (l *loop) listenAll() {
	if l.gate.shut || l.acceptPaused || l.draining() {
		return
	}
	for _, fd := range l.listeners {
		if err := l.watchListener(fd); err != nil {
			l.shutGate(err)
			return
		}
	}
}

// listParked appends the parked conn, as `anyport flows` shows it.
func (l *loop) listParked(page []route.Conn) []route.Conn {
	n := l.gate.parked
	if !n.exists() {
		return page
	}
	listed := route.Conn{ID: n.id, Protocol: config.TCP, State: route.Parked, Client: n.client, Age: l.now - n.since, Idle: l.now - n.since}
	if dst, err := call.LocalAddr(n.fd); err == nil {
		listed.Dst = dst
		if r := l.routes.Set().Lookup(config.TCP, n.client.Addr(), dst); r != nil {
			listed.Route = r.Name
		}
	}
	return append(page, listed)
}

// killParked ends the parked conn if it matches, and reports whether it did.
func (l *loop) killParked(match func(*route.Conn) bool) bool {
	for _, listed := range l.listParked(nil) {
		if match(&listed) {
			l.refuseConn(l.gate.takeParked(), listed.Dst, l.routes.Set().Lookup(config.TCP, listed.Client.Addr(), listed.Dst), route.Killed)
			return true
		}
	}
	return false
}

// takeParked takes the parked conn out.
func (g *gate) takeParked() accepted {
	n := g.parked
	g.parked = accepted{}
	return n
}
