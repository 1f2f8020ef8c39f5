package flow_test

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/flow"
	"anyport/proxy/internal/proxytest"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// testSockets is what a testLoop keeps of a flow. It has the size of what package udp keeps.
type testSockets struct {
	opened int // counts the sockets of all flows; 0: none is open
	_      [5]uint64
}

type testFlow = flow.Flow[testSockets]

// testLoop does with a table what an event loop does, without sockets.
type testLoop struct {
	*flow.Table[testSockets]
	routes *route.Live
	limits flow.Limits
	addrs  flow.ReplyAddrs
	epoch  time.Time

	dialFails  map[netip.AddrPort]route.Verdict // by the origin's address
	replyFails route.Verdict                    // if not Undecided

	opened, open int // sockets to origins
	dsts         map[netip.AddrPort]int

	records []route.Record
	logged  map[slog.Level][]string
}

// newTestLoop makes a loop with room for most flows.
func newTestLoop(most int, l *route.Live, change ...func(*flow.Options)) *testLoop {
	t := &testLoop{routes: l, dsts: map[netip.AddrPort]int{}, logged: map[slog.Level][]string{}}
	l.SetRecording(route.Recording{To: func(r route.Record) { t.records = append(t.records, r) }, Share: 1})
	opt := flow.Options{
		Routes: l, Budgets: flow.NewBudgets(16), Replies: &t.addrs,
		Limits: flow.Limits{
			Flows:     flow.Divide(most, 1)[0],
			Sockets:   flow.SocketQuota{Ports: flow.Divide(most, 1)[0]},
			PerClient: flow.ClientLimits{WithSocket: most, Without: most},
		},
		Log: slog.New(logHandler{t.logged}),
	}
	for _, c := range change {
		c(&opt)
	}
	t.limits, t.epoch = opt.Limits, opt.Epoch
	t.Table = flow.NewTable[testSockets](opt)
	return t
}

// logHandler collects lines by level.
type logHandler struct{ lines map[slog.Level][]string }

func (h logHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h logHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h logHandler) WithGroup(string) slog.Handler            { return h }
func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	h.lines[r.Level] = append(h.lines[r.Level], r.Message)
	return nil
}

// datagram is n bytes of payload from a client.
func (t *testLoop) datagram(k flow.Key, n int, now time.Duration) (*testFlow, route.Verdict) {
	f := t.Find(k)
	if f == nil {
		var verdict route.Verdict
		if f, verdict = t.begin(k, now); f == nil {
			return nil, verdict
		}
	}
	if verdict := t.FromClient(f, n, now); verdict != route.Forwarded {
		return nil, verdict
	}
	return f, route.Forwarded
}

func (t *testLoop) begin(k flow.Key, now time.Duration) (*testFlow, route.Verdict) {
	a := flow.Admission[testSockets]{Key: k}
	for {
		evict, verdict := t.Admit(&a, now)
		if evict == nil && verdict != route.Admitted {
			return nil, verdict
		}
		if evict == nil {
			break
		}
		t.end(evict, route.Evicted, now)
	}
	verdict := t.connect(a.Flow, now)
	if evict := t.EvictFor(a.Flow, verdict); evict != nil {
		t.end(evict, route.Evicted, now)
		verdict = t.connect(a.Flow, now)
	}
	if verdict != route.Admitted {
		t.Abandon(a.Flow, verdict, now)
		return nil, verdict
	}
	t.Insert(a.Flow)
	return a.Flow, route.Admitted
}

func (t *testLoop) connect(f *testFlow, now time.Duration) route.Verdict {
	if t.replyFails != route.Undecided {
		return t.replyFails
	}
	verdict := route.NoOrigin
	for tried := []*origin.Origin(nil); t.PickOrigin(f, tried, now); tried = append(tried, f.Origin) {
		failure, fails := t.dialFails[f.OriginAddr()]
		if !fails {
			t.openSockets(f)
			return route.Admitted
		}
		verdict = failure
	}
	return verdict
}

func (t *testLoop) openSockets(f *testFlow) {
	t.opened++
	t.open++
	f.Sockets.opened = t.opened
	if t.dsts[f.Dst()]++; t.dsts[f.Dst()] == 1 {
		t.addrs.Add(f.Dst())
	}
}

func (t *testLoop) closeSockets(f *testFlow) {
	t.open--
	if t.dsts[f.Dst()]--; t.dsts[f.Dst()] == 0 {
		delete(t.dsts, f.Dst())
		t.addrs.Remove(f.Dst())
	}
}

func (t *testLoop) end(f *testFlow, v route.Verdict, now time.Duration) {
	t.closeSockets(f)
	t.End(f, netip.AddrPort{}, v, now)
}

func (t *testLoop) expire(now time.Duration) {
	for f, v := t.Expired(now); f != nil; f, v = t.Expired(now) {
		if v == route.Admitted {
			t.RecordProgress(f, netip.AddrPort{}, now)
			continue
		}
		t.end(f, v, now)
	}
}

func (t *testLoop) reload(now time.Duration) {
	for again := true; again; again = t.Reloading() {
		for _, f := range t.Reload(now) {
			t.end(f, route.NoRoute, now)
		}
	}
}

func (t *testLoop) endAll(v route.Verdict, now time.Duration) {
	for f := range t.All {
		t.end(f, v, now)
	}
}

// moving are all flows, as another process gets them.
func (t *testLoop) moving(listener int) (all []flow.Moving) {
	now := time.Now()
	for f := range t.InEvictionOrder {
		m := t.Moving(f, now)
		m.Listener, m.FD = listener, f.Sockets.opened
		all = append(all, m)
	}
	return all
}

// adopt has a flow of another process go on here.
func (t *testLoop) adopt(in flow.Moving) {
	f, verdict := t.Restore(in, time.Now())
	if f == nil {
		t.RefuseRestored(in, verdict)
		return
	}
	t.openSockets(f)
	f.Sockets.opened = in.FD
	t.InsertRestored(f, in)
}

// verdicts are those of the records written since the last call.
func (t *testLoop) verdicts() (vs []route.Verdict) {
	for _, r := range t.records {
		vs = append(vs, r.Verdict)
	}
	t.records = nil
	return vs
}

var (
	originAddr = netip.MustParseAddrPort("10.0.0.5:9000")
	backupAddr = netip.MustParseAddrPort("10.0.0.6:9000")
	dst1       = netip.MustParseAddrPort("192.0.2.1:53")
	dst2       = netip.MustParseAddrPort("192.0.2.2:53")
	dst6       = netip.MustParseAddrPort("[2001:db8::1]:53")
	client1    = netip.MustParseAddrPort("198.51.100.1:4000")
	client2    = netip.MustParseAddrPort("198.51.100.2:4000")
	client6    = netip.MustParseAddrPort("[2001:db8:9::1]:4000")
)

type routes = proxytest.Routes

var live, to = proxytest.Live, proxytest.To

// began returns a loop with one flow, after a first datagram of n bytes.
func began(t *testing.T, r *config.Route, client, dst netip.AddrPort, n int) (*testLoop, *testFlow) {
	t.Helper()
	l := newTestLoop(10, live(r, dst))
	f, verdict := l.datagram(flow.KeyOf(client, dst), n, 1)
	if verdict != route.Forwarded {
		t.Fatalf("the first datagram: %v", verdict)
	}
	return l, f
}

// checkNothingLeft checks that every count of live things is 0 again.
func checkNothingLeft(t *testing.T, l *testLoop) {
	t.Helper()
	r := l.routes.Set().Routes[0]
	deadlines, clients, bounded := l.Held()
	left := []int{l.Len(), deadlines, clients, bounded, l.open, len(l.dsts), l.addrs.Len(), l.limits.Flows.Held(), l.limits.Sockets.Ports.Held(),
		int(r.Stats.Active(config.UDP)), int(r.Origins().Origins[0].Active())}
	if !slices.Equal(left, make([]int, len(left))) {
		t.Errorf("flows, deadlines, clients, bounded routes, sockets, dsts, reply addresses, places of flows and of sockets, active, active at the origin: %v left", left)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
