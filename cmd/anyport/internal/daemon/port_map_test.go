package daemon

import (
	"net/netip"
	"slices"
	"testing"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/scans"
	"anyport/config"
	"anyport/proxy/route"
)

// TestHotPorts: ports are counted and sorted by their live conns, and both lists are bounded.
func TestHotPorts(t *testing.T) {
	conn := func(port int) route.Conn {
		return route.Conn{Protocol: config.TCP, Dst: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(port)), ToOrigin: 1, ToClient: 2}
	}
	all := func(*route.Conn) bool { return true }
	hot, partial := hotPorts(slices.Values([]route.Conn{conn(1), conn(80), conn(80), conn(2)}), all)
	if partial || len(hot) != 3 || hot[0].Port != 80 || hot[0].Conns != 2 || hot[0].Bytes != 6 || hot[1].Port != 1 {
		t.Errorf("%+v, partial %t", hot, partial)
	}
	if hot, partial := hotPorts(slices.Values([]route.Conn{conn(1)}), func(*route.Conn) bool { return false }); hot == nil || len(hot) != 0 || partial {
		t.Errorf("of no conn: %v, %t", hot, partial)
	}
	many := func(n int) func(func(route.Conn) bool) {
		return func(yield func(route.Conn) bool) {
			for i := range n {
				if !yield(conn(i % 65536)) {
					return
				}
			}
		}
	}
	if hot, partial := hotPorts(many(hotShown+1), all); len(hot) != hotShown || !partial {
		t.Errorf("%d ports are listed, partial %t", len(hot), partial)
	}
	if _, partial := hotPorts(many(connsCounted+1), func(c *route.Conn) bool { return c.Dst.Port() == 1 }); !partial {
		t.Error("more conns than are counted, and the answer is not partial")
	}
}

// TestProbedRuns: neighbours with as many packets are one run.
func TestProbedRuns(t *testing.T) {
	ports := []scans.PortCount{{Port: 0, Packets: 1}, {Port: 1, Packets: 1}, {Port: 2, Packets: 2}, {Port: 4, Packets: 2}, {Port: 65534, Packets: 3}, {Port: 65535, Packets: 3}}
	if got, want := probedRuns(ports), []int{0, 1, 1, 2, 2, 2, 4, 4, 2, 65534, 65535, 3}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := probedRuns(nil); got == nil || len(got) > 0 {
		t.Errorf("of no port: %v", got)
	}
}

// TestClosedBecause: a route that takes nothing new says why, and only where it would serve.
func TestClosedBecause(t *testing.T) {
	hours := map[string]admin.HoursStatus{"night": {}, "day": {Active: true}}
	draining := func(route string) bool { return route == "drains" || route == "night" }
	for _, test := range []struct{ route, verdict, want string }{
		{"web", "steer", ""}, {"drains", "steer", "draining"}, {"dead", "steer", "no origin is up"}, {"night", "steer", "not in force"},
		{"night", "socket", "not in force"}, {"day", "steer", ""}, {"drains", "refuse", ""}, {"night", "pass", ""}, {"", "refuse", ""},
	} {
		run := admin.PortRun{Route: test.route, Verdict: test.verdict}
		if got := closedBecause(run, draining, map[string]bool{"dead": true}, &hours); got != test.want {
			t.Errorf("%s of route %q: %q, want %q", test.verdict, test.route, got, test.want)
		}
	}
	if got := closedBecause(admin.PortRun{Route: "night", Verdict: "steer"}, func(string) bool { return false }, nil, nil); got != "" {
		t.Errorf("before the hours are known: %q", got)
	}
}
