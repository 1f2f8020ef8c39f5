package flow

import (
	"time"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/route"
)

// LeavesSocket reports whether another flow to the same origin may have the socket of f, which is about
// to end with a verdict: f was one question and its one answer, so nobody waits for a datagram, and
// it was idle for all of its timeout. With more of them nobody knows whether the origin has
// said its last word. An origin that is sent the header only once knows flows by their ports, so
// there a port must not come again soon. The kernel never forwards such short flows.
func (t *Table[S]) LeavesSocket(f *Flow[S], verdict route.Verdict, now time.Duration) bool {
	switch {
	case verdict != route.IdleTimedOut, f.drainEnd != 0, t.draining: // a drained flow ends sooner
		return false
	case !f.OwnsSocket(), f.Route.Transparent, f.Route.ProxyProtocol == config.ProxyV2First:
		return false
	case f.packets != [2]uint64{1, 1}, f.stage == Unanswered, f.fast != nil, f.Origin.Standing() != health.Up:
		return false
	}
	refuses, _ := f.Origin.Refuses(f.OriginPort(), t.opt.Epoch.Add(now))
	return !refuses
}
