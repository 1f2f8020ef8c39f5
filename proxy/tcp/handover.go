package tcp

import "context"

// conduct has the loops drain once ctx is done, or leave the listeners to another
// process before that.
func conduct(ctx context.Context, loops []*loop, handovers <-chan func() error) {
	for {
		select {
		case <-ctx.Done():
			order(loops, (*loop).drain)
			return
		case give := <-handovers:
			order(loops, (*loop).pause)
			if give() == nil {
				order(loops, (*loop).leave)
				return
			}
			order(loops, (*loop).unpause)
		}
	}
}

// order has each loop do something. One that has ended does nothing.
func order(loops []*loop, do func(*loop)) {
	for _, l := range loops {
		l.orders.Do(func() { do(l) })
	}
}

// pause leaves new conns in the accept queues.
func (l *loop) pause() {
	l.paused = true
	for _, fd := range l.listeners {
		l.unlisten(fd)
	}
}

func (l *loop) unpause() {
	l.paused = false
	l.listenAll()
}

// leave drains a loop that is paused, for whose accept queues another process cares now.
func (l *loop) leave() {
	l.listeners = nil
	l.drain()
}
