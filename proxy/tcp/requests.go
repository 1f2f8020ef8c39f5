package tcp

import (
	"context"
	"time"

	"anyport/proxy/route"
)

// serveRequests has the loops do what others ask of Serve, until they have ended: drain once
// ctx is done, leave the listeners to another process, give it their conns, or take its.
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

// handOver calls give while no loop accepts.
func handOver(loops []*loop, give func() error) {
	onEachLoop(loops, (*loop).pauseAccept)
	if give() == nil {
		onEachLoop(loops, (*loop).leaveListeners)
	} else {
		onEachLoop(loops, (*loop).resumeAccept)
	}
}

// onEachLoop has each loop do something. One that has ended does nothing.
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

func (l *loop) resumeAccept() {
	l.acceptPaused = false
	l.listenAll()
}

// moveTime is what the conns have to move to another process, however short their
// drain_timeout.
const moveTime = 10 * time.Second

// leaveListeners drains a loop that is paused, for whose accept queues another process cares now.
func (l *loop) leaveListeners() {
	l.listeners, l.drainAtLeast = nil, moveTime
	if n := l.gate.takeParked(); n.exists() { // nobody else has it, so it goes in beyond the quota
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
