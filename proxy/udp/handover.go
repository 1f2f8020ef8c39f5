package udp

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// drainOrHandOver waits until ctx is done, and then has the loops drain; or until another process has
// the flows. A fleet that comes meanwhile joins the loops. Serve runs it on a goroutine of its own.
func drainOrHandOver(ctx context.Context, loops []*loop, opt Options) {
	for {
		select {
		case <-ctx.Done():
			for _, l := range loops {
				l.orders.Do(l.drain)
			}
			return
		case fleet := <-opt.Joined:
			for _, l := range loops {
				l.orders.Do(func() { l.join(fleet) })
			}
		case give := <-opt.Handovers:
			if handOver(loops, give) {
				return
			}
		}
	}
}

// drain takes no new flows from now on, but those whose first datagram is here already.
func (l *loop) drain() {
	now := l.now()
	l.beginAllWaiting(now)
	l.flows.Drain(now)
}

// handOver stops all loops while it calls give with their flows, and reports whether another process
// has them. A loop that stands still reads nothing: what arrives meanwhile waits in the queues of the
// sockets, which both processes have, and is read by the one that goes on.
func handOver(loops []*loop, give func([]Flow) error) (gone bool) {
	for _, l := range loops {
		l.leaveFastPath()
		defer l.orders.Do(func() { l.fast.paused = false })
	}
	stopped, decided := make(chan []Flow, len(loops)), make(chan struct{})
	var orders sync.WaitGroup
	for i, l := range loops {
		orders.Go(func() { // ends once give has returned, or its loop has ended
			ran := l.orders.Do(func() {
				stopped <- l.movingFlows(i)
				if <-decided; gone {
					l.forgetFlows()
					l.handedOver = true
				}
			})
			if !ran { // the loop has ended with an error, and with it its flows
				stopped <- nil
			}
		})
	}
	var flows []Flow
	for range loops {
		flows = append(flows, <-stopped...)
	}
	gone = give(flows) == nil
	close(decided)
	orders.Wait()
	return gone
}

// movingFlows describes all flows for another process, with those whose first datagram is here already. The
// loop keeps them, and their sockets.
func (l *loop) movingFlows(listener int) []Flow {
	l.beginAllWaiting(l.now())
	for len(l.ending) > 0 {
		l.endNext(l.now())
	}
	l.removeEntries()
	all, now := make([]Flow, 0, l.flows.Len()), time.Now()
	for f := range l.flows.InEvictionOrder {
		moving := l.flows.Moving(f, now)
		moving.Listener, moving.FD = listener, int(f.Sockets.fd)
		if source := f.Sockets.egress; source != nil {
			moving.Egress = source.addr()
		}
		all = append(all, moving)
	}
	return all
}

// forgetFlows closes the sockets of all flows, which another process has now: it will count and
// record their end. Free sockets stay behind.
func (l *loop) forgetFlows() {
	l.closeAllFree()
	for f := range l.flows.All {
		l.closeSockets(f)
		l.flows.Remove(f)
	}
}

// adopt gives the flows of another process to the loops of their listeners, and closes the sockets
// of those that cannot go on.
func adopt(loops []*loop, flows []Flow) {
	used := map[int]bool{}
	for _, f := range flows {
		l := loops[f.Listener]
		adopted := l.adopt(f, l.now())
		used[f.FD] = used[f.FD] || adopted && !f.Egress.IsValid() // the raw socket came separately
	}
	for fd, used := range used {
		if !used {
			unix.Close(fd)
		}
	}
	for _, l := range loops { // the file may have changed since the flows began
		l.flows.BeginReload()
	}
}

// adopt has a flow of another process go on here, without asking for limits, which it met when it
// began. One that cannot is recorded as ended, and its socket remains the caller's.
func (l *loop) adopt(in Flow, now time.Duration) (adopted bool) {
	f, verdict := l.flows.Restore(in, time.Now())
	if f != nil {
		if err := l.adoptSocket(f, in); err != nil {
			l.log.Warn(now, "a flow of another process cannot go on", "route", in.Route, "client", in.Client, "error", err)
			verdict = route.RelayFailed
		}
	}
	if verdict != route.Admitted {
		l.flows.RefuseRestored(in, verdict)
		return false
	}
	f.Sockets.reply = l.replies.acquireLater(in.Dst)
	l.flows.InsertRestored(f, in)
	l.show(f)
	return true
}
