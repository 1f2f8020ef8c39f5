package flow_test

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/flow"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

var (
	portClosed      = flow.Refusal{Err: unix.ECONNREFUSED, PortClosed: true}
	hostUnreachable = flow.Refusal{Err: unix.EHOSTUNREACH}
)

// bring brings the flow of client1 to a stage.
func (l *testLoop) bring(f *testFlow, to flow.Stage) {
	exchanges := map[flow.Stage]int{flow.Unanswered: 0, flow.Answered: 1, flow.Validated: flow.ExchangesToValidate}
	for range exchanges[to] {
		l.FromOrigin(f, nil, 1)
		l.FromClient(f, 0, 1)
	}
}

func TestLeavesOrigin(t *testing.T) {
	for _, test := range []struct {
		stage   flow.Stage
		refusal flow.Refusal
		again   bool
		want    bool
	}{
		{flow.Unanswered, portClosed, false, true},
		{flow.Unanswered, hostUnreachable, false, true},
		{flow.Answered, portClosed, false, true},
		{flow.Answered, hostUnreachable, false, false},
		{flow.Answered, hostUnreachable, true, true},
		{flow.Validated, hostUnreachable, false, false},
		{flow.Validated, portClosed, false, true},
	} {
		l, f := began(t, to(originAddr), client1, dst1, 0)
		l.bring(f, test.stage)
		if f.Stage() != test.stage {
			t.Fatalf("the flow is at stage %d, want %d", f.Stage(), test.stage)
		}
		if got := f.LeavesOrigin(test.refusal, test.again); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// move has f go to another origin, as an event loop does.
func (l *testLoop) move(f *testFlow, now time.Duration) bool {
	if !l.HasOtherOrigin(f, now) {
		return false
	}
	from := f.Origin
	if !l.PickOrigin(f, []*origin.Origin{from}, now) {
		f.Origin = from
		return false
	}
	f.Moved(from)
	return true
}

// TestMoveToOtherOrigin: a flow that goes to another origin has its header again, and is counted
// where it is.
func TestMoveToOtherOrigin(t *testing.T) {
	r := to(originAddr, backupAddr)
	r.ProxyProtocol = config.ProxyV2First
	l, f := began(t, r, client1, dst1, 10)
	f.Settle(route.ToOrigin, route.Forwarded, 1, 10)
	origins := f.Route.Origins().Origins
	l.NoteRefusal(f.Route, f.Origin, f.OriginPort(), portClosed, 1)
	if !l.OriginRefuses(f, 1) || !l.move(f, 1) {
		t.Fatal("the flow stays")
	}
	if header, once := f.AppendHeader(nil), f.HeaderOnce(); f.OriginAddr() != backupAddr || len(header) == 0 || !once {
		t.Errorf("the flow went to %v, with header %x, once: %v", f.OriginAddr(), header, once)
	}
	if origins[0].Active() != 0 || origins[1].Active() != 1 {
		t.Errorf("%d and %d flows of the origins", origins[0].Active(), origins[1].Active())
	}
	l.FromOrigin(f, []byte("answer"), 2)
	if l.NoteRefusal(f.Route, f.Origin, f.OriginPort(), portClosed, 2); l.move(f, 2) {
		t.Error("the flow went to an origin that refuses, too")
	}
	l.FromOrigin(f, []byte("answer"), 3)
	if len(l.logged[slog.LevelWarn]) != 2 || len(l.logged[slog.LevelInfo]) != 1 {
		t.Errorf("logged %v", l.logged)
	}
	l.endAll(route.IdleTimedOut, 4)
	if origins[0].Active() != 0 || origins[1].Active() != 0 {
		t.Errorf("left: %d and %d flows of the origins", origins[0].Active(), origins[1].Active())
	}
}

// TestOriginRefuses: an answered flow stays with an origin that refuses others until it has refused
// again.
func TestOriginRefuses(t *testing.T) {
	l, f := began(t, to(originAddr, backupAddr), client1, dst1, 10)
	l.FromOrigin(f, []byte("answer"), 1)
	l.NoteRefusal(f.Route, f.Origin, f.OriginPort(), hostUnreachable, 1)
	if l.OriginRefuses(f, 2) {
		t.Error("an answered flow leaves at once")
	}
	later := 2 * time.Second
	l.NoteRefusal(f.Route, f.Origin, f.OriginPort(), hostUnreachable, later)
	if !l.OriginRefuses(f, later) {
		t.Error("an answered flow stays with an origin that goes on refusing")
	}
}

// TestDownInAPanic: with on_down = "close" a flow leaves an origin that is down, but not while all
// origins are tried: it would go on to another one with each datagram.
func TestDownInAPanic(t *testing.T) {
	for threshold, want := range map[int]bool{0: true, 50: false} {
		r := to(originAddr, netip.MustParseAddrPort("10.0.0.77:53"), backupAddr)
		r.OnDown, r.PanicThreshold = config.CloseConns, threshold
		l, f := began(t, r, client1, dst1, 10)
		for _, o := range f.Route.Origins().Origins[:2] {
			o.SetChecked(true, "test", time.Now())
		}
		if got := l.OriginRefuses(f, 1); got != want {
			t.Errorf("panic_threshold = %d: the flow leaves its origin: %v", threshold, got)
		}
	}
}

// TestReloadWhileADatagramWaits: a datagram that was queued before a reload gave its route accept_proxy,
// or took it away, begins no flow: the flow would go on without the headers that its peer must send.
func TestReloadWhileADatagramWaits(t *testing.T) {
	client, dst := call.EndpointOf(client1), call.EndpointOf(dst1)
	for what, test := range map[string]struct {
		accept []netip.Prefix
		key    flow.Key
	}{
		"given": {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, flow.Key{Client: client, Dst: dst}},
		"taken": {nil, flow.Key{Client: client, Dst: dst, Via: flow.ViaOf(client, dst)}},
	} {
		r := to(originAddr)
		r.AcceptProxy = test.accept
		if f, v := newTestLoop(10, live(r, dst1)).begin(test.key, 1); f != nil || v != route.BadHeader {
			t.Errorf("accept_proxy is %s: flow %v, verdict %v", what, f, v)
		}
	}
}
