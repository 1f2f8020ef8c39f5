package tcp

import (
	"context"
	"time"

	"anyport/proxy/route"
)

// serveRequests passes to the loops what others ask of Serve, until the loops have ended: to drain
// once ctx is done, to leave the listeners to another process, to move conns to it, or to take its
// conns. It runs on the goroutine of Serve's caller.
func serveRequests(ctx context.Context, loops []*loop, opt Options, ended <-chan struct{}) {
	stop := ctx.Done()
	for {
		select {
		case <-ended:
			return
		case <-stop:
			stop = nil
			onEachLoop(loops, (*loop).startDrain)
		case give := <-opt.Handovers:
			handOver(loops, give)
		case m := <-opt.Moves:
			m.Over(moveConns(loops, m.Give))
		case conns := <-opt.Arrivals:
			if len(conns) == 0 {
				onEachLoop(loops, (*loop).endArrivals)
			}
			distribute(loops, conns)
		}
	}
}

// handOver calls give while no loop accepts. If that succeeds, the listeners are another process's.
func handOver(loops []*loop, give func() error) {
	onEachLoop(loops, (*loop).pauseAccept)
	if give() == nil {
		onEachLoop(loops, (*loop).leaveListeners)
	} else {
		onEachLoop(loops, (*loop).resumeAccept)
	}
}

// onEachLoop runs do on each loop's own goroutine, one loop after the other. A loop that has ended
// does nothing.
func onEachLoop(loops []*loop, do func(*loop)) {
	for _, l := range loops {
		l.mailbox.Do(func() { do(l) })
	}
}

// pauseAccept leaves new conns in the accept queues.
func (l *loop) pauseAccept() {
	l.acceptPaused = true
	for _, fd := range l.listeners {
		l.unwatchListener(fd)
	}
}

// resumeAccept undoes pauseAccept.
func (l *loop) resumeAccept() {
	l.acceptPaused = false
	l.listenAll()
}

// moveTime is how long conns have at least to move to another process, even if their drain_timeout
// is shorter.
const moveTime = 10 * time.Second

// leaveListeners drains a paused loop whose listeners another process serves from now on.
func (l *loop) leaveListeners() {
	l.listeners, l.drainAtLeast = nil, moveTime
	if n := l.gate.takeParked(); n.exists() { // no other process has it, so it is served beyond the quota
		dst, r, v := l.lookUp(n)
		if v == route.Admitted {
			l.files.Insist(connFiles)
			l.beginConn(n, dst, r)
		} else {
			l.refuseConn(n, dst, r, v)
		}
	}
	l.startDrain()
}
