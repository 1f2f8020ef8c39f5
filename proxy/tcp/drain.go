package tcp

import (
	"anyport/config"
	"anyport/proxy/wheel"
)

// draining reports whether the loop accepts no more and ends with its last conn.
func (l *loop) draining() bool { return l.drainBegan != 0 }

// startDrain begins the end of the loop: conns go on, for up to their route's drain_timeout.
func (l *loop) startDrain() {
	l.drainBegan = max(l.now, 1) // 0 would mean that it does not drain
	for _, fd := range l.listeners {
		l.unwatchListener(fd)
	}
	for _, c := range l.slots {
		if c != nil {
			l.limitByDrain(c)
			l.setTimer(c)
		}
	}
}

// applyReload applies a reload to live conns: those whose dst it no longer forwards get their
// drain_timeout, and those whose dst is forwarded again lose it; a changed bandwidth holds at once.
func (l *loop) applyReload() {
	set := l.routes.Set()
	if set == l.set {
		return
	}
	before := l.set
	l.set = set
	l.changeBandwidths(before, set)
	l.changeShared()
	l.renewWaiting(set)
	if l.draining() { // all conns have their drain_timeout already
		return
	}
	for _, c := range l.slots {
		if c == nil {
			continue
		}
		switch keeps := set.Keeps(config.TCP, c.dst, c.route); {
		case !keeps && c.drained == 0:
			c.drained = max(l.now, 1) + min(c.route.Drain, wheel.Never-l.now-1)
			l.setTimer(c)
		case keeps && c.drained != 0:
			c.drained = 0
			l.setTimer(c)
		}
	}
}

// hasLastConns reports whether a draining loop may have conns to take from an accept queue. For
// their clients these are established, so they are served like others.
func (l *loop) hasLastConns() bool {
	return l.draining() && !l.gate.shut && len(l.listeners) > 0
}

// acceptLastConns accepts what is in the queues, one batch of each in a turn.
func (l *loop) acceptLastConns() error {
	if !l.hasLastConns() {
		return nil
	}
	var left []int // listeners whose queues are not empty yet
	for _, fd := range l.listeners {
		dry, err := l.acceptBatch(fd)
		if err != nil {
			return err
		}
		if !dry {
			left = append(left, fd)
		}
	}
	l.listeners = left
	return nil
}

// drained reports whether the loop has drained. If the gate is shut and no conn is left whose end
// could open it, what is still in the queues ends when the listeners are closed.
func (l *loop) drained() bool {
	return l.draining() && l.connCount == 0 && !l.hasLastConns()
}
