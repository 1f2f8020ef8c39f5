package text

import (
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/goldentest"
)

// TestWideColumns: every figure of a route and of an origin has its place, also where there is none.
func TestWideColumns(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	seconds := func(n float64) *float64 { return &n }
	waiting := 4
	busy := RatedRoute{Rates: Rates{New: 2, ToOrigin: 3, ToClient: 4}, RouteStatus: admin.RouteStatus{
		Name: "web", Errors: 1, Protocol: []string{"tcp"}, Prefixes: []string{"192.0.2.0/24"}, Ports: []string{"80"}, Action: "forward", Balance: "first",
		ConnsActive: 5, ConnsPeak: 6, MaxConns: 7, MaxFlows: 8, ConnsTotal: 9, LastNew: ago(10 * time.Second), NewPeak: 11, NewConnsPerSecond: 12,
		BytesToOrigin: 13, BytesToClient: 14, Retries: 15, Moves: 16, Refused: 17, Denied: 18, Limited: 19, QueueWaiting: &waiting, QueuePeak: 20, Queue: 21,
		WaitSeconds: seconds(0.0225), ConnectSeconds: seconds(0.000231234), SessionSeconds: seconds(3723.4), DownSeconds: 24.5, TimesDown: 25, DownChanged: ago(26 * time.Minute),
	}}
	origin := RatedOrigin{Route: "web", Rates: Rates{New: 1, ToOrigin: 2, ToClient: 3}, OriginStatus: admin.OriginStatus{
		Address: "10.0.0.5:80", Up: true, Health: "up", Weight: 4, SlowStart: seconds(0.25), Since: ago(5 * time.Second), Why: "the checks pass", ConnsActive: 6, ConnsPeak: 7, MaxConns: 8,
		ConnsTotal: 9, LastNew: ago(10 * time.Hour), NewPeak: 11.4, BytesToOrigin: 12, BytesToClient: 13, FailedDials: 14, Refusals: 15, Retries: 16, Moves: 17,
		CheckedAt: ago(18 * time.Second), CheckSeconds: 0.019, ChecksFailed: 20, ConnectSeconds: seconds(0.021), SessionSeconds: seconds(22), DownSeconds: 3600, TimesDown: 24,
	}}
	lines := append(RouteGrid([]RatedRoute{busy, {RouteStatus: admin.RouteStatus{Name: "idle"}}}, true, now).Lines(0), "")
	lines = append(lines, OriginGrid([]RatedOrigin{origin, {OriginStatus: admin.OriginStatus{Address: "10.0.0.6:80"}}}, true, now).Lines(0)...)
	goldentest.Compare(t, "testdata/wide.txt", strings.Join(lines, "\n")+"\n")
}

func TestTook(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0s", 0.0000004: "0s", 0.00001: "10µs", 0.000231: "231µs", 0.0225: "22.5ms", 0.9999: "1s", 1.5: "1.5s", 12.34: "12.3s", 3723.4: "1h2m3s"} {
		if got := took(&seconds); got != want {
			t.Errorf("%v s: %q, want %q", seconds, got, want)
		}
	}
}

// TestLoopsText: a line for many loops says which protocol's are the busiest.
func TestLoopsText(t *testing.T) {
	s := &admin.Status{Loops: 3, NewPeak: 12.5, LoopsStuck: 1, LoopLoads: []admin.LoopLoad{{Name: "tcp/0", Idle: 0.75}, {Name: "tcp/1", Idle: 0.5}, {Name: "udp/0", Idle: 1}}}
	if got, want := loopsText(s), "3, tcp idle 50 %, udp idle 100 %, 1 DO NOT RESPOND; at most 13 new conns and flows a second so far"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestLeft names the process, and what the answer lacks.
func TestLeft(t *testing.T) {
	if got := Left(admin.Left{PID: 7, ConnsActive: 1}); !strings.HasPrefix(got, "process 7, which an upgrade has replaced, still has 1 conn or flow: ") {
		t.Error(got)
	}
}
