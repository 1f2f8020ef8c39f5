package tcp

import (
	"errors"
	"net/netip"
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
	shut   bool
	door   newcomer
	timer  wheel.Timer[*conn] // tries again, for files can be freed elsewhere in the process
	full   time.Duration      // since when conns have waited, and the queue was not seen empty; 0: they have not
	warned time.Duration
}

// newcomer is a conn that was accepted and is not begun. The zero value is none.
type newcomer struct {
	fd   int
	from netip.AddrPort // valid where there is one
}

// connFiles is what a conn takes: a socket on each side.
const connFiles = 2

// DoorFiles is what each loop may hold beside its quota: the files of one conn at the door.
const DoorFiles = connFiles

const (
	gateRetry    = time.Second
	gatePatience = 2 * time.Second
	gateQuiet    = time.Minute // between two warnings
)

var errNoFiles = errors.New("the conns' share of the open files is used up")

func (n newcomer) waits() bool { return n.from.IsValid() }

// room takes the files of a new conn. Where there are none it waits at the door, which is
// Undecided. Once conns have waited for gatePatience, those of clients that hold much
// already are refused instead, until the queue is empty: others may be behind them.
func (l *loop) room(n newcomer) route.Verdict {
	who := client.Of(n.from.Addr())
	switch {
	case l.takeFiles() || l.makeRoom(who) && l.takeFiles():
		return route.Admitted
	case l.gate.full != 0 && l.now-l.gate.full >= gatePatience && l.clients.crowds(who, l.conns):
		return route.OutOfFiles
	case l.gate.full == 0:
		l.gate.full = max(l.now, 1)
	}
	l.gate.door = n
	l.shut(errNoFiles)
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

func (l *loop) shut(why error) {
	if l.gate.shut {
		return
	}
	l.gate.shut = true
	l.warnShort(why)
	for _, fd := range l.listeners {
		l.unlisten(fd)
	}
	l.pipes.CloseSpare() // conns need the files more
	l.timers.Set(&l.gate.timer, l.now+gateRetry)
}

func (l *loop) warnShort(why error) {
	if l.gate.warned == 0 || l.now-l.gate.warned >= gateQuiet {
		l.gate.warned = max(l.now, 1)
		l.log.Logger.Warn("new conns wait in the accept queue until others end; raise the limit of open files", "error", why, "conns", l.conns)
	}
}

// reopen accepts again, if there are files for a conn.
func (l *loop) reopen() {
	if !l.gate.shut {
		return
	}
	if !l.takeFiles() {
		l.timers.Set(&l.gate.timer, l.now+gateRetry)
		return
	}
	l.files.Give(connFiles)
	l.unbar()
}

// retry is reopen after a while. Conns may have become idle by now, or the patience with
// who waits at the door be over.
func (l *loop) retry() {
	if l.gate.door.waits() {
		l.unbar()
	} else {
		l.reopen()
	}
}

// unbar opens the gate. It may shut again, for who waits at the door is first.
func (l *loop) unbar() {
	l.gate.shut = false
	l.timers.Stop(&l.gate.timer)
	if n := l.gate.leaveDoor(); n.waits() {
		l.admit(n)
	}
	l.listenAll()
}

// listenAll listens, unless something keeps the loop from accepting.
func (l *loop) listenAll() {
	if l.gate.shut || l.paused || l.draining() {
		return
	}
	for _, fd := range l.listeners {
		if err := l.listen(fd); err != nil {
			l.shut(err)
			return
		}
	}
}

// leaveDoor returns who waits at the door, and does not any more.
func (g *gate) leaveDoor() newcomer {
	n := g.door
	g.door = newcomer{}
	return n
}
