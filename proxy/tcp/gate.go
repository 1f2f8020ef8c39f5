package tcp

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// gate keeps a loop from accepting when there are no fds for more conns: they
// wait in the accept queue, and nothing spins on a listener that stays readable.
type gate struct {
	shut    bool
	reserve [2]int // one socket a family, for the dial of a conn that took the last fd; -1: spent
	timer   timer  // tries again, for fds can be freed elsewhere in the process
	warned  time.Duration
}

// families are those of the reserve. Spare fds would not do: between closing one
// and making the socket, another loop's accept may take it.
var families = [...]int{unix.AF_INET, unix.AF_INET6}

func newGate() gate { return gate{reserve: [2]int{-1, -1}} }

const (
	gateRetry = time.Second
	gateQuiet = time.Minute // between two warnings
)

func (l *loop) shut(why error) {
	if l.gate.shut {
		return
	}
	l.gate.shut = true
	if l.gate.warned == 0 || l.now-l.gate.warned >= gateQuiet {
		l.gate.warned = l.now
		l.log.Warn("new conns wait in the accept queue until others end; raise the limit of open files", "error", why, "conns", l.conns)
	}
	for _, fd := range l.listeners {
		l.unlisten(fd)
	}
	l.pipes.close() // conns need the fds more
	l.wheel.set(&l.gate.timer, l.now+gateRetry)
}

// reopen accepts again, if the reserve can be had back.
func (l *loop) reopen() {
	if !l.gate.shut {
		return
	}
	if !l.gate.refill() {
		l.wheel.set(&l.gate.timer, l.now+gateRetry)
		return
	}
	l.gate.shut = false
	l.wheel.stop(&l.gate.timer)
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

// refill makes the reserve whole; false says that fds are still scarce.
func (g *gate) refill() bool {
	for i, family := range families {
		if g.reserve[i] >= 0 {
			continue
		}
		fd, err := socket(family)
		switch {
		case err == nil:
			g.reserve[i] = fd
		case scarce(err):
			return false
		} // else the host does not have the family, and no origin of it is dialled
	}
	return true
}

// spend takes a family's socket out of the reserve; -1 where it is spent already.
func (g *gate) spend(family int) (fd int) {
	i := slices.Index(families[:], family)
	fd, g.reserve[i] = g.reserve[i], -1
	return fd
}

func (g *gate) close() {
	for _, family := range families {
		if fd := g.spend(family); fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}
