package udp

import (
	"errors"
	"log/slog"
	"time"

	"anyport/bpf/fastflow"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// FastPath is the kernel's part of the fast path: it forwards the flows that it is told of, without the
// loops. Its methods are safe for concurrent use.
type FastPath interface {
	// Generation is that of live entries, never 0. Entries of an older one are dead: their datagrams
	// come up to user space, and what they have counted can still be read.
	Generation() uint32
	// Raise begins a new generation. It is called whenever something changes that could change a
	// decision on a flow: each flow is decided on again with its next datagram.
	Raise() error
	// Admit has the kernel forward a flow, in both directions or not at all. It overwrites a dead entry
	// of the flow, and counts from zero. An error wraps a fastflow.Refusal.
	Admit(fastflow.Flow) error
	// Usage is what the kernel has forwarded of a flow; not ok: it has no entry.
	Usage(fastflow.Flow) (u fastflow.Usage, ok bool)
	// Leave has the datagrams of a flow come up from now on.
	Leave(fastflow.Flow)
	// Remove removes the entry of a flow, some time after Leave, so that no packet is on its way
	// through it. It leaves that of another flow alone.
	Remove(fastflow.Flow) (u fastflow.Usage, ok bool)
	// Remember tells the steering program that a flow lives, for its idle time: it counts new flows, and sees
	// nothing of what the kernel forwards.
	Remember(fastflow.Flow)
}

// raise has all flows decided on again.
func raise(kernel FastPath, log *slog.Logger) {
	if err := kernel.Raise(); err != nil {
		log.Error("the kernel goes on to forward flows that have to be decided on again", "error", err)
	}
}

// fastPath is the loop's part of the fast path. It belongs to one loop.
//
// A turn asks the kernel at its end, after the datagrams of the flow that came up have been sent: what
// the kernel forwards next cannot overtake them.
type fastPath struct {
	kernel     FastPath // nil: there is none
	generation uint32   // of the kernel's entries, as this turn has seen it; 0: there is no fast path
	paused     bool     // the kernel is not asked: another process is about to have the flows
	due        []*liveFlow

	left, removing []flow.FastLeft // by this turn; by the turn before

	nextCount time.Duration // see countForwarded
	nextRaise time.Duration // see noteNarrowPath
}

// fastATurn bounds how many flows a turn asks the kernel about. What is left over asks with its next
// datagram.
const fastATurn = 256

// fastPause is the time between two narrow paths of a loop that have all flows decided on again.
const fastPause = time.Second

// removeAfter is how long a turn waits at most before it removes the entries of the one before.
const removeAfter = time.Millisecond

// begin begins a turn.
func (p *fastPath) begin() {
	if p.kernel != nil {
		p.generation = p.kernel.Generation()
	}
}

// noteFast notes that a datagram of f has come up to user space, and is going to be forwarded there.
func (l *loop) noteFast(f *liveFlow, now time.Duration) {
	p := &l.fast
	if p.generation != 0 && l.fastDue(f, now) && len(p.due) < fastATurn {
		p.due = append(p.due, f)
	}
}

// fastDue reports whether the kernel is to be asked about f now. While the loop looks which flows a reload
// drains, it asks about none.
func (l *loop) fastDue(f *liveFlow, now time.Duration) bool {
	return f.FastDue(l.fast.generation, now) && !l.fast.paused && !l.flows.Reloading()
}

// askKernel ends a turn: it removes the entries that are out of use, and asks the kernel about the flows
// that noteFast has found. Nothing is queued to be sent.
func (l *loop) askKernel(now time.Duration) {
	p := &l.fast
	if p.kernel == nil {
		return
	}
	p.removeBefore()
	for _, f := range p.due {
		// One may have ended since, be in the list twice, or a reload has begun.
		if l.flows.Find(f.Key) == f && l.fastDue(f, now) {
			l.goFast(f, now)
		}
	}
	clear(p.due)
	p.due = p.due[:0]
}

// removeBefore removes the entries of flows that have left in the turn before.
func (p *fastPath) removeBefore() {
	for i := range p.removing {
		if used, ok := p.kernel.Remove(p.removing[i].Entry); ok {
			p.removing[i].Removed(used)
		}
	}
	p.removing, p.left = p.left, emptied(p.removing)
}

// emptied is an empty list that uses the memory of another one, unless that is much: very many flows can
// end in one turn.
func emptied(list []flow.FastLeft) []flow.FastLeft {
	if cap(list) > 4*fastATurn {
		return nil
	}
	clear(list)
	return list[:0]
}

// removeEntries removes the entries of all flows that have left.
func (l *loop) removeEntries() {
	l.fast.removeBefore()
	l.fast.removeBefore()
}

// goFast asks the kernel to forward f, if nothing speaks against it.
func (l *loop) goFast(f *liveFlow, now time.Duration) {
	p, reason := &l.fast, l.flows.FastReason(f)
	if f.InKernel() && reason == route.FastForwarded && l.forwards(f, now) {
		return
	}
	entry := l.nextEntry(f)
	switch {
	case reason != route.FastForwarded:
	case !entry.Source.IsValid():
		reason = route.FastBroken
	default:
		l.show(f) // its next datagrams may not come up
		entry.Until = f.FastUntil(time.Now())
		reason = l.askFor(entry, now)
	}
	if f.InKernel() && reason != route.FastForwarded {
		l.leaveKernel(f, now)
	}
	l.flows.FastAsked(f, p.generation, reason, now)
	if reason == route.FastForwarded {
		f.NoteFastSource(entry.Source)
		l.remember(f, entry)
	}
}

// forwards counts what the kernel has forwarded of f, and reports whether it still does. Where an entry
// is alive, the datagram that has come up is one that the program leaves to user space.
func (l *loop) forwards(f *liveFlow, now time.Duration) bool {
	p, entry := &l.fast, entryOf(f)
	used, ok := p.kernel.Usage(entry)
	if !ok {
		return false
	}
	l.useFast(f, entry, used, now)
	return f.FastStays(p.generation, used.Quiet, now)
}

// askFor has the kernel forward a flow, or says why it does not.
func (l *loop) askFor(entry fastflow.Flow, now time.Duration) route.FastReason {
	err := l.fast.kernel.Admit(entry)
	if err == nil {
		return route.FastForwarded
	}
	var refusal fastflow.Refusal
	if !errors.As(err, &refusal) {
		refusal = fastflow.Broken
	}
	if reason := route.FastReasonOf(refusal); reason != route.FastBroken {
		return reason
	}
	l.log.Warn(now, "the kernel cannot forward a flow", "client", entry.Client, "dst", entry.Dst, "origin", entry.Origin, "error", err)
	return route.FastBroken
}
