package tcp

import (
	"context"
	"time"

	"anyport/proxy/route"
)

// conduct has the loops do what others ask of Serve, until they have ended: drain once
// ctx is done, leave the listeners to another process, give it their conns, or take its.
func conduct(ctx context.Context, loops []*loop, opt Options, ended <-chan struct{}) {
	stop := ctx.Done()
	for {
		select {
		case <-ended:
			return
		case <-stop:
			stop = nil
			order(loops, (*loop).drain)
		case give := <-opt.Handovers:
			handOver(loops, give)
		case m := <-opt.Moves:
			m.Over(giveAway(loops, m.Give))
		case conns := <-opt.Arrivals:
			if len(conns) == 0 {
				order(loops, (*loop).expectNone)
			}
			adoptAll(loops, conns)
		}
	}
}

// handOver calls give while no loop accepts.
func handOver(loops []*loop, give func() error) {
	order(loops, (*loop).pause)
	if give() == nil {
		order(loops, (*loop).leave)
	} else {
		order(loops, (*loop).unpause)
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

// moveTime is what the conns have to move to another process, however short their
// drain_timeout.
const moveTime = 10 * time.Second

// leave drains a loop that is paused, for whose accept queues another process cares now.
func (l *loop) leave() {
	l.listeners, l.drainLeast = nil, moveTime
	if n := l.gate.leaveDoor(); n.waits() { // nobody else has it, so it goes in beyond the quota
		dst, r, v := l.arrival(n)
		if v == route.Admitted {
			l.files.Insist(connFiles)
		}
		l.settleNewcomer(n, dst, r, v)
	}
	l.drain()
}
