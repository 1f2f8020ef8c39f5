package udp

import (
	"net/netip"
	"time"

	"anyport/proxy/route"
)

// endsATurn bounds the flows that one turn ends. Very many can be due at once, as all of a route that a
// reload has removed: to end them in one turn would keep the others waiting. What is left is for the next
// turns.
const endsATurn = 64

// ending is a flow that the loop is about to end, before its time.
type ending struct {
	flow    *liveFlow
	verdict route.Verdict
}

// end ends a flow, whatever ended it. Its sockets are closed first: only then may the table give their
// places to others.
func (l *loop) end(f *liveFlow, verdict route.Verdict, now time.Duration) {
	l.hide(f)
	l.leaveKernel(f, now)
	var source netip.AddrPort
	if l.flows.WantsRecord(f, verdict) {
		source = sourceOf(f)
	}
	if l.leaveSocket(f, verdict, now) {
		l.replies.release(f.Sockets.reply)
	} else {
		l.closeSockets(f)
	}
	l.flows.End(f, source, verdict, now)
}

// endLater has flows ended in this turn or the next ones.
func (l *loop) endLater(flows []*liveFlow, verdict route.Verdict) {
	for _, f := range flows {
		l.ending = append(l.ending, ending{f, verdict})
	}
}

// endDue ends what endLater was told of, and then the flows whose time is over: as many as a turn may.
func (l *loop) endDue(now time.Duration) {
	left := endsATurn
	for ; left > 0 && len(l.ending) > 0; left-- {
		l.endNext(now)
	}
	for ; left > 0 && l.endExpired(now); left-- {
	}
}

// endNext ends the next flow that endLater was told of, unless it has ended since.
func (l *loop) endNext(now time.Duration) {
	next := l.ending[0]
	if l.ending = l.ending[1:]; len(l.ending) == 0 {
		l.ending = nil
	}
	if l.flows.Find(next.flow.Key) == next.flow {
		l.end(next.flow, next.verdict, now)
	}
}

// endExpired ends a flow that is idle, or drained, or records the progress of one. It is false where there
// is none.
func (l *loop) endExpired(now time.Duration) bool {
	f, verdict := l.flows.Expired(now)
	if f == nil {
		return false
	}
	switch forwarded := l.countFlow(f, now); {
	case verdict == route.Admitted:
		l.flows.RecordProgress(f, sourceOf(f), now)
	case forwarded && verdict == route.IdleTimedOut: // in user space, but not in the kernel
	default:
		l.end(f, verdict, now)
	}
	return true
}

// endAll ends all flows at once.
func (l *loop) endAll(verdict route.Verdict, now time.Duration) {
	for f := range l.flows.All {
		l.end(f, verdict, now)
	}
	l.closeAllFree()
	l.fast.paused = true
	l.removeEntries()
}
