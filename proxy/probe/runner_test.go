package probe_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/origin"
	"anyport/proxy/probe"
)

// switched is an origin that can be told to fail.
type switched struct {
	address string
	fails   atomic.Bool
	asked   atomic.Int64
}

func newSwitched(t *testing.T) *switched {
	s := &switched{}
	s.address = serveTCP(t, func(c net.Conn) {
		s.asked.Add(1)
		if !s.fails.Load() {
			c.Write([]byte("ok"))
		}
	})
	return s
}

// targets are routes of these names to one origin, with a quick check.
func targets(t *testing.T, address string, names ...string) (all []probe.Target) {
	for _, name := range names {
		at := netip.MustParseAddrPort(address)
		r := &config.Route{Name: name, Health: &config.Health{Interval: 20 * time.Millisecond, Timeout: patience, Rise: 2, Fall: 3, Expect: "ok"},
			Origins: []config.Origin{{Text: address, Addr: at.Addr(), Ports: config.PortRange{First: at.Port(), Last: at.Port()}, Weight: 1}}}
		o := origin.NewPool(r, nil).Origins[0]
		c, ok := probe.Of(r, o.Origin)
		if !ok {
			t.Fatal("no check")
		}
		all = append(all, probe.Target{Check: c, Subject: probe.Subject{Route: name, Origin: o}})
	}
	return all
}

// lines counts what the log has.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// run runs a Runner until the test ends, and wants its goroutines gone then.
func run(t *testing.T, atOnce int) (*probe.Runner, *lines) {
	log := &lines{}
	r := probe.NewRunner(slog.New(slog.NewTextHandler(log, nil)), nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx, atOnce) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("Run does not end")
		}
	})
	return r, log
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// TestRunner: two routes share the checks of one origin; each change is logged once; what is set again
// keeps its state; and what is no longer set is no longer asked.
func TestRunner(t *testing.T) {
	r, log := run(t, 4)
	server := newSwitched(t)
	both := targets(t, server.address, "web", "mail")
	web, mail := both[0].Origin, both[1].Origin
	r.Set(both, time.Now())
	if r.Len() != 1 {
		t.Errorf("%d checks, want one for both routes", r.Len())
	}
	await(t, "a check", func() bool { return web.LastResult() != nil && web.LastResult().Passed() })
	if web.Standing() != health.Up || web.Changes(health.Up) != 0 {
		t.Errorf("at first %v, after %d changes", web.Standing(), web.Changes(health.Up))
	}
	server.fails.Store(true)
	await(t, "both down", func() bool { return web.Standing() == health.CheckFailed && mail.Standing() == health.CheckFailed })
	if n := log.count("an origin is down"); n != 1 || web.Changes(health.CheckFailed) != 1 {
		t.Errorf("logged %d times and counted %d:\n%s", n, web.Changes(health.CheckFailed), log.text.String())
	}
	if why := web.State().Why; !strings.Contains(why, "the answer begins with") {
		t.Errorf("the reason is %q", why)
	}
	r.Set(targets(t, server.address, "new"), time.Now()) // a reload: a new origin, and the old check
	late := targets(t, server.address, "later")
	r.Set(late, time.Now())
	if late[0].Origin.Standing() != health.CheckFailed {
		t.Errorf("an origin that is known to be down is %v for a new route", late[0].Origin.Standing())
	}
	server.fails.Store(false)
	await(t, "up again", func() bool { return late[0].Origin.Standing() == health.Up })
	if web.Standing() != health.CheckFailed {
		t.Error("an origin that is no longer checked has changed")
	}
	if n := log.count("an origin is up"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.text.String())
	}
	r.Set(nil, time.Now())
	await(t, "the last check ends", func() bool {
		before := server.asked.Load()
		time.Sleep(100 * time.Millisecond)
		return server.asked.Load() == before
	})
	if r.Len() != 0 {
		t.Errorf("%d checks are left", r.Len())
	}
}

// TestRestoredOriginMustRise: an origin that another process found down is not up after one check.
func TestRestoredOriginMustRise(t *testing.T) {
	r, _ := run(t, 4)
	server := newSwitched(t)
	all := targets(t, server.address, "web")
	o := all[0].Origin
	o.Restore(health.State{Failing: true, Why: "before"})
	r.Set(all, time.Now())
	if o.Standing() != health.CheckFailed {
		t.Errorf("at first %v", o.Standing())
	}
	await(t, "up", func() bool { return o.Standing() == health.Up })
	if n := server.asked.Load(); n < 2 {
		t.Errorf("up after %d checks, want rise = 2", n)
	}
}

// TestAtOnce: checks that wait for their timeout hold up others only as far as the limit
// says, and never more than that many are in progress.
func TestAtOnce(t *testing.T) {
	const atOnce = 5
	var now, most atomic.Int64
	r, _ := run(t, atOnce)
	var all []probe.Target
	for i := range 20 {
		address := serveTCP(t, func(c net.Conn) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(10 * time.Millisecond)
			now.Add(-1)
			c.Write([]byte("ok"))
		})
		all = append(all, targets(t, address, fmt.Sprint("r", i))...)
	}
	for i := range all {
		all[i].Rules.Interval = 2 * time.Second // a server that counts must not outlive the check: that ends after an interval
	}
	r.Set(all, time.Now())
	for _, target := range all {
		await(t, "a check of "+target.Route, func() bool { return target.Origin.LastResult() != nil })
	}
	if n := most.Load(); n > atOnce {
		t.Errorf("%d checks at once, want at most %d", n, atOnce)
	}
}
