package flow

import (
	"container/heap"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// drainQuiet is how long a flow of a stopping process may be quiet before it counts as ended: UDP
// has no FIN.
const drainQuiet = 2 * time.Second

// end is when the flow ends if no more datagram comes, and the verdict that it ends with.
func (f *Flow[S]) end() (time.Duration, route.Verdict) {
	idle := f.Route.FlowIdle(f.Key.Dst.Port)
	if f.drainEnd == 0 {
		return f.last + idle, route.IdleTimedOut
	}
	if quiet := f.last + min(idle, drainQuiet); quiet < f.drainEnd {
		return quiet, route.IdleTimedOut
	}
	return f.drainEnd, route.DrainTimedOut
}

// Expired returns a flow whose end has come, and the verdict to end it with; with Admitted one whose
// progress has to be recorded; nil if there is none. It is called until there is none, with an End or a
// RecordProgress for each.
func (t *Table[S]) Expired(now time.Duration) (*Flow[S], route.Verdict) {
	for len(t.deadlines) > 0 && t.deadlines[0].deadline <= now {
		f := t.deadlines[0]
		at, verdict := f.end()
		if at <= now {
			return f, verdict
		}
		progress := t.progressDue(f)
		f.deadline = t.nextLook(f, now) // there was a datagram since the deadline was set, or it was one for the access log
		heap.Fix(&t.deadlines, 0)
		if progress {
			return f, route.Admitted
		}
	}
	return nil, route.Undecided
}

// NextDeadline is when Expired has to be called; not ok where there is no flow.
func (t *Table[S]) NextDeadline() (deadline time.Duration, ok bool) {
	if len(t.deadlines) == 0 {
		return 0, false
	}
	return t.deadlines[0].deadline, true
}

// Drain takes no new flows from now on. Live ones go on until they are quiet, or until the drain
// timeout of their route has passed.
func (t *Table[S]) Drain(now time.Duration) {
	t.draining = true
	for _, f := range t.deadlines {
		t.drainIf(f, true, now)
	}
	heap.Init(&t.deadlines)
}

// Drained reports whether Drain was called, and no flow is left.
func (t *Table[S]) Drained() bool { return t.draining && t.Len() == 0 }

// Reload drains the flows that a new generation of routes no longer forwards, and no more those that it
// forwards again: a page of them in each call, since to look at very many keeps the others waiting. It is called
// again while Reloading. It returns the flows to end at once, with NoRoute: those whose dst the kernel now hands
// to the host's own sockets. Their reply socket, which is bound to the dst, would receive the datagrams for the
// host's.
func (t *Table[S]) Reload(now time.Duration) (passed []*Flow[S]) {
	t.applyRecording(now)
	if t.opt.Routes.Set() != t.set {
		t.BeginReload()
	}
	if t.draining { // all flows drain already
		t.reloading = Listing[S]{}
	}
	for f := range t.NextFlows(&t.reloading) {
		keeps := t.set.Keeps(config.UDP, f.Dst(), f.Route)
		if t.passes(f, keeps) {
			passed = append(passed, f)
		}
		t.drainIf(f, !keeps, now)
		heap.Fix(&t.deadlines, int(f.position))
	}
	return passed
}

// BeginReload has Reload look at all flows, whichever generation of routes they are of: they may come from
// another process.
func (t *Table[S]) BeginReload() {
	t.set = t.opt.Routes.Set()
	t.reloading = t.Listing()
}

// Reloading reports whether Reload has flows left to look at.
func (t *Table[S]) Reloading() bool { return !t.reloading.Done() }

// passes reports whether the datagrams of f come here no more, or name another client from now on.
func (t *Table[S]) passes(f *Flow[S], kept bool) bool {
	if !kept {
		return t.set.Passes(config.UDP, f.Dst())
	}
	return !t.set.Shared() && f.Key.named() != t.set.Lookup(config.UDP, f.Key.ReplyTo().AddrPort().Addr(), f.Dst()).NamesClients()
}

// drainIf has a flow drain, or drain no more. It has its route's drain timeout left. The heap of deadlines is the
// caller's to mend.
func (t *Table[S]) drainIf(f *Flow[S], drains bool, now time.Duration) {
	switch {
	case !drains:
		f.drainEnd = 0
	case f.drainEnd == 0:
		f.drainEnd = now + f.Route.Drain
	}
	f.deadline = t.nextLook(f, now)
}

// deadlines is a heap of all flows by deadline (container/heap).
type deadlines[S any] []*Flow[S]

func (d deadlines[S]) Len() int           { return len(d) }
func (d deadlines[S]) Less(i, j int) bool { return d[i].deadline < d[j].deadline }
func (d deadlines[S]) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].position, d[j].position = int32(i), int32(j)
}
func (d *deadlines[S]) Push(f any) {
	f.(*Flow[S]).position = int32(len(*d))
	*d = append(*d, f.(*Flow[S]))
}
func (d *deadlines[S]) Pop() any {
	old := *d
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	return f
}
