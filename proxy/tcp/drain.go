package tcp

import (
	"anyport/config"
	"anyport/proxy/tcp/wheel"
)

func (l *loop) draining() bool { return l.drainBegan != 0 }

// startDrain begins the loop's end: conns live on, up to their route's drain_timeout.
func (l *loop) startDrain() {
	l.drainBegan = max(l.now, 1)
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

// applyReload drains the conns that a reload leaves no route to, and no more those that one
// gives it back.
func (l *loop) applyReload() {
	set := l.routes.Set()
	if set == l.set {
		return
	}
	l.set = set
	if l.draining() { // they drain already
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

// hasLastConns says that a draining loop has conns to take from an accept queue:
// their clients have long been told that they are connected.
func (l *loop) hasLastConns() bool {
	return l.draining() && !l.gate.shut && len(l.listeners) > 0
}

// acceptLastConns accepts what is in the queues, one batch of each a turn.
func (l *loop) acceptLastConns() error {
	if !l.hasLastConns() {
		return nil
	}
	var left []int
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

// drained says that the loop has drained. With the gate shut and no conn whose end
// could open it, what still waits in the queues is left to who closes them.
func (l *loop) drained() bool {
	return l.draining() && l.connCount == 0 && !l.hasLastConns()
}
