package tcp

import (
	"time"

	"golang.org/x/sys/unix"
)

// gate keeps a loop from accepting when there are no fds for more conns: they
// wait in the accept queue, and nothing spins on a listener that stays readable.
type gate struct {
	shut    bool
	reserve int   // an fd given up for the dial of a conn accepted with the last one; -1: given up
	timer   timer // tries again, for fds can be freed elsewhere in the process
	warned  time.Duration
}

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
	if l.draining() {
		return
	}
	for _, fd := range l.listeners {
		if err := l.listen(fd); err != nil {
			l.shut(err)
			return
		}
	}
}

func (g *gate) refill() bool {
	if g.reserve < 0 {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return false
		}
		g.reserve = fd
	}
	return true
}

// spend gives the reserve up; false says that it is spent already.
func (g *gate) spend() bool {
	if g.reserve < 0 {
		return false
	}
	_ = unix.Close(g.reserve)
	g.reserve = -1
	return true
}
