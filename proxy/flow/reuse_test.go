package flow_test

import (
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// TestLeavesSocket: only a flow that was one question and its one answer leaves its socket to another.
func TestLeavesSocket(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*config.Route)
		rounds  int
		then    func(*testLoop, *testFlow)
		verdict route.Verdict
		want    bool
	}{
		{name: "a question and its answer", rounds: 1, verdict: route.IdleTimedOut, want: true},
		{name: "with a header", change: func(r *config.Route) { r.ProxyProtocol = config.ProxyV2 }, rounds: 1, verdict: route.IdleTimedOut, want: true},
		{name: "two", rounds: 2, verdict: route.IdleTimedOut},
		{name: "unanswered", verdict: route.IdleTimedOut},
		{name: "killed", rounds: 1, verdict: route.Killed},
		{name: "evicted", rounds: 1, verdict: route.Evicted},
		{name: "a second answer", rounds: 1, then: func(l *testLoop, f *testFlow) { l.FromOrigin(f, []byte("again"), 2) }, verdict: route.IdleTimedOut},
		{name: "transparent", change: func(r *config.Route) { r.Transparent = true }, rounds: 1, verdict: route.IdleTimedOut},
		{name: "named by its port", change: func(r *config.Route) { r.ProxyProtocol = config.ProxyV2First }, rounds: 1, verdict: route.IdleTimedOut},
		{name: "shared", change: func(r *config.Route) { r.ProxyProtocol = config.ProxySPP }, rounds: 1, verdict: route.IdleTimedOut},
		{name: "draining", rounds: 1, then: func(l *testLoop, _ *testFlow) { l.Drain(1) }, verdict: route.IdleTimedOut},
		{name: "without a route", rounds: 1, then: func(l *testLoop, _ *testFlow) {
			l.routes.Swap(routes{}, nil)
			l.reload(1)
		}, verdict: route.IdleTimedOut},
		{name: "its origin is down", rounds: 1, then: func(_ *testLoop, f *testFlow) { f.Origin.SetChecked(true, "", time.Now()) }, verdict: route.IdleTimedOut},
		{name: "its origin refuses", rounds: 1, then: func(_ *testLoop, f *testFlow) {
			f.Origin.Refuse(f.OriginPort(), false, time.Time{})
		}, verdict: route.IdleTimedOut},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := to(originAddr)
			r.Drain = time.Hour
			if test.change != nil {
				test.change(r)
			}
			l, k := newTestLoop(10, live(r, dst1)), flow.KeyOf(client1, dst1)
			f := l.exchange(k, test.rounds, 1)
			if test.rounds == 0 {
				f, _ = l.datagram(k, 1, 1)
			}
			if test.then != nil {
				test.then(l, f)
			}
			if got := l.LeavesSocket(f, test.verdict, 1); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
