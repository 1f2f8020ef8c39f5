package tcp

import (
	"errors"
	"time"

	"anyport/proxy/client"
	"anyport/proxy/route"
	"anyport/proxy/tcp/wheel"
)

// gate keeps a loop from accepting when there are no files for more conns: they
// wait in the accept queue, and nothing spins on a listener that stays readable.
//
// Whose conn it is shows only once it is accepted. So the budget has a place at the door
// for each loop, beside its quota: one conn that was accepted and waits there for files.
type gate struct {
	shut       bool
	parked     accepted
	timer      wheel.Timer[*conn] // tries again, for files can be freed elsewhere in the process
	shortSince time.Duration      // since when conns have waited, and the queue was not seen empty; 0: they have not
	warned     time.Duration
}

// connFiles is what a conn takes: a socket on each side.
const connFiles = 2

// ParkedFiles is what each loop may hold beside its quota: the files of one conn at the door.
const ParkedFiles = connFiles

const (
	gateRetryEvery = time.Second
	gateParkMost   = 2 * time.Second
	gateWarnEvery  = time.Minute // between two warnings
)

var errNoFiles = errors.New("the conns' share of the open files is used up")

// reserveFiles takes the files of a new conn. Where there are none it waits at the door, which is
// Undecided. Once conns have waited for gatePatience, those of clients that hold much
// already are refused instead, until the queue is empty: others may be behind them.
func (l *loop) reserveFiles(n accepted) route.Verdict {
	who := client.Of(n.client.Addr())
	switch {
	case l.takeFiles() || l.evictFor(who) && l.takeFiles():
		return route.Admitted
	case l.gate.shortSince != 0 && l.now-l.gate.shortSince >= gateParkMost && l.clients.holdsMuch(who, l.connCount):
		return route.OutOfFiles
	case l.gate.shortSince == 0:
		l.gate.shortSince = max(l.now, 1)
	}
	l.gate.parked = n
	l.shutGate(errNoFiles)
	return route.Undecided
}

// takeFiles takes the files of one more conn. They matter more than spare pipes.
func (l *loop) takeFiles() bool {
	if l.files.Take(connFiles) {
		return true
	}
	l.pipes.CloseSpare()
	return l.files.Take(connFiles)
}

func (l *loop) shutGate(why error) {
	if l.gate.shut {
		return
	}
	l.gate.shut = true
	l.warnNoFiles(why)
	for _, fd := range l.listeners {
		l.unwatchListener(fd)
	}
	l.pipes.CloseSpare() // conns need the files more
	l.timers.Set(&l.gate.timer, l.now+gateRetryEvery)
}

func (l *loop) warnNoFiles(why error) {
	if l.gate.warned == 0 || l.now-l.gate.warned >= gateWarnEvery {
		l.gate.warned = max(l.now, 1)
		l.log.Logger.Warn("new conns wait in the accept queue until others end; raise the limit of open files", "error", why, "conns", l.connCount)
	}
}

// reopenGate accepts again, if there are files for a conn.
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

// retryGate is reopen after a while. Conns may have become idle by now, or the patience with
// who waits at the door be over.
func (l *loop) retryGate() {
	if l.gate.parked.exists() {
		l.openGate()
	} else {
		l.reopenGate()
	}
}

// openGate opens the gate. It may shut again, for who waits at the door is first.
func (l *loop) openGate() {
	l.gate.shut = false
	l.timers.Stop(&l.gate.timer)
	if n := l.gate.takeParked(); n.exists() {
		l.admitConn(n)
	}
	l.listenAll()
}

// listenAll listens, unless something keeps the loop from accepting.
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

// takeParked returns who waits at the door, and does not any more.
func (g *gate) takeParked() accepted {
	n := g.parked
	g.parked = accepted{}
	return n
}
