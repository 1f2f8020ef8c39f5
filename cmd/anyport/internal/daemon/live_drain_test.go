package daemon

import (
	"context"
	"slices"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/admin"
)

// TestDrainOfAll: a drain of all routes takes in those of a later reload; whoever waits for it hears when
// somebody undoes it for one route, which then takes new conns.
func TestDrainOfAll(t *testing.T) {
	origin := echo(t)
	web := webRoute("web", "192.0.2.0/24", origin, "drain_timeout = \"1m\"")
	l := start(t, "", web)
	dialThrough(t, "192.0.2.7:1")
	waiting := make(chan error, 1)
	go func() { // ended by the answer
		_, err := l.Drain(context.Background(), admin.DrainOrder{Wait: true})
		waiting <- err
	}()
	draining := func() (names []string) {
		status, err := l.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range status.Routes {
			if r.Draining {
				names = append(names, r.Name)
			}
		}
		return names
	}
	eventually(t, "it drains", func() bool { return len(draining()) == 1 })
	l.write(t, web+webRoute("new", "203.0.113.0/24", origin, ""))
	if _, err := l.Reload(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	if got := draining(); !slices.Equal(got, []string{"web", "new"}) || !refused("203.0.113.7:1") {
		t.Errorf("after a reload these drain: %q", got)
	}
	if drained, err := l.Drain(t.Context(), admin.DrainOrder{Route: "new", Undo: true}); err != nil || drained.Draining {
		t.Errorf("undo: %+v, %v", drained, err)
	}
	dialThrough(t, "203.0.113.7:1")
	refusedWith(t, <-waiting, "somebody else has undone the drain")
	if got := draining(); !slices.Equal(got, []string{"web"}) {
		t.Errorf("after the undo of one these drain: %q", got)
	}
}

// TestDroppedPrefix: a prefix that a reload drops stays local until its last conn has ended, and not for
// the whole drain_timeout.
func TestDroppedPrefix(t *testing.T) {
	origin := echo(t)
	const keys = "drain_timeout = \"1h\""
	l := start(t, "", webRoute("web", "192.0.2.0/24", origin, keys))
	conn := dialThrough(t, "192.0.2.7:1")
	l.write(t, webRoute("web", "203.0.113.0/24", origin, keys))
	reloaded, err := l.Reload(t.Context(), false, nil)
	if err != nil || len(reloaded.Routes) != 1 || reloaded.Routes[0].ConnsEnding != 1 {
		t.Fatalf("%+v, %v", reloaded, err)
	}
	say(t, conn) // its packets still come here
	const released = "the last conn has ended on the prefixes that a reload dropped"
	if strings.Contains(l.log.String(), released) {
		t.Error("the prefix is not local any more, beside a live conn")
	}
	conn.Close()
	eventually(t, "it is released", func() bool { return strings.Contains(l.log.String(), released) })
	if e, err := l.Drift(t.Context()); err != nil || len(e.Lines) > 0 {
		t.Errorf("drift %+v, %v", e, err)
	}
}

// TestStatusOfARefusal: what the kernel decides without the proxy is counted with the rest.
func TestStatusOfARefusal(t *testing.T) {
	l := start(t, "", webRoute("web", "192.0.2.0/24", echo(t), "ports = [80]\ndeny = [\"0.0.0.0/0\"]"))
	if !refused("192.0.2.7:80") || !refused("192.0.2.7:81") {
		t.Error("a conn is taken")
	}
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r := status.Routes[0]; r.Denied == 0 || r.Lookups == 0 || r.Verdicts["deny"] == 0 || r.ConnsTotal != 0 {
		t.Errorf("the route: %+v", r)
	}
	if status.Steering.Unmatched["refuse"] == 0 || status.Steering.OnDeath == admin.Exposed {
		t.Errorf("the steering: %+v", status.Steering)
	}
}
