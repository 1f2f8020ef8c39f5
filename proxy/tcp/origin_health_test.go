package tcp_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/health"
	origins "anyport/proxy/origin"
	"anyport/proxy/route"
)

// TestTriesFourOrigins: a conn tries its first origin and three others. A fifth is not asked, so
// nobody knows that dst is closed, and it is not mirrored.
func TestTriesFourOrigins(t *testing.T) {
	up := origin(t, echo)
	within, beyond := []string{closed(t), closed(t), closed(t), up}, []string{closed(t), closed(t), closed(t), closed(t), up}
	p := serve(t, firstOf(within...))
	c := p.dial()
	say(t, c, "hello")
	hear(t, c, "hello")
	c.Close()
	p.ends(route.Closed)

	r := firstOf(beyond...)
	r.MirrorClosed = true
	p = serve(t, r)
	p.refused()
	p.ends(route.ConnectFailed)
	if n := len(p.mirrors); n != 0 {
		t.Errorf("mirrored %d times, though an origin was not asked", n)
	}
}

func firstOf(origins ...string) *config.Route {
	r := forward(origins...)
	r.Balance = config.First
	return r
}

// TestDeadOriginIsEjected: after a few conns that had to go on to the next origin, new ones no longer
// ask the dead one; once it is back and its time is over, it serves again.
func TestDeadOriginIsEjected(t *testing.T) {
	for name, dead := range map[string]string{"refuses": closed(t), "is silent": silent(t)} {
		t.Run(name, func(t *testing.T) {
			up := origin(t, echo)
			r := firstOf(dead, up)
			r.Connect = 50 * time.Millisecond
			p := serve(t, r)
			first := p.route.Origins().Origins[0]
			for range health.DialsToEject {
				p.echoes()
			}
			if v := first.Verdict(config.TCP, time.Now()); v != health.Ejected || first.Changes(health.Ejected) != 1 {
				t.Fatalf("after %d failures: %v, %d times", health.DialsToEject, v, first.Changes(health.Ejected))
			}
			asked := first.Total()
			p.echoes()
			if n := first.Total() - asked; n != 0 && first.Verdict(config.TCP, time.Now()) == health.Ejected {
				t.Errorf("%d conns have asked an ejected origin", n)
			}
		})
	}
}

// echoes is one conn that works.
func (p *proxy) echoes() {
	p.t.Helper()
	c := p.dial()
	say(p.t, c, "hello")
	hear(p.t, c, "hello")
	c.Close()
	p.ends(route.Closed)
}

// TestOnDown: conns of an origin that goes down are reset with on_down = "close", those of another
// origin and of other routes go on.
func TestOnDown(t *testing.T) {
	for _, onDown := range []config.OnDown{config.KeepConns, config.CloseConns} {
		a, b := origin(t, echo), origin(t, echo)
		r := firstOf(a, b)
		r.OnDown = onDown
		p := serve(t, r)
		onA := p.dial()
		say(t, onA, "hello")
		hear(t, onA, "hello")
		first := p.route.Origins().Origins[0]
		first.SetChecked(true, "test", time.Now())
		p.live.OriginDown()
		if onDown == config.CloseConns {
			if got := p.ends(route.OriginDown); got.Origin.String() != a {
				t.Errorf("a conn of %v has ended, want one of %v", got.Origin, a)
			}
		} else {
			say(t, onA, "again")
			hear(t, onA, "again")
			onA.Close()
			p.ends(route.Closed)
		}
		onB := p.dial()
		say(t, onB, "hello")
		hear(t, onB, "hello")
		first.SetChecked(true, "again", time.Now())
		p.live.OriginDown()
		say(t, onB, "goes on")
		hear(t, onB, "goes on")
		onB.Close()
		if got := p.ends(route.Closed); got.Origin.String() != b {
			t.Errorf("origin %v, want %v", got.Origin, b)
		}
	}
}

// TestOnDownSparesWhatWasTried: with on_down = "close", a conn that was dialled to an origin that was down
// already, since no origin was up, goes on when another origin goes down. It ends when its own origin
// came back and goes down again.
func TestOnDownSparesWhatWasTried(t *testing.T) {
	r := forward(origin(t, echo))
	r.OnDown, r.OnAllDown = config.CloseConns, config.TryAll
	p := serve(t, r)
	only := p.route.Origins().Origins[0]
	only.SetChecked(true, "test", time.Now())
	c := p.dial()
	say(t, c, "hello")
	hear(t, c, "hello")
	p.live.OriginDown()
	say(t, c, "goes on")
	hear(t, c, "goes on")
	only.SetChecked(false, "test", time.Now())
	only.SetChecked(true, "test", time.Now())
	p.live.OriginDown()
	p.ends(route.OriginDown)
}

// TestMaxAge: conns end at max_age, not all at the same moment, whatever they do meanwhile.
func TestMaxAge(t *testing.T) {
	r := forward(origin(t, echo))
	r.MaxAge = 2 * time.Second
	p := serve(t, r)
	var ages []time.Duration
	for range 20 {
		c := p.dial()
		say(t, c, "hello")
		hear(t, c, "hello")
		defer c.Close()
	}
	for range 20 {
		ages = append(ages, p.ends(route.MaxAge).Took)
	}
	slices.Sort(ages)
	if least := r.MaxAge * 9 / 10; ages[0] < least || ages[len(ages)-1]-ages[0] < r.MaxAge/20 {
		t.Errorf("conns ended after %v to %v, want some after %v and spread over a fifth of max_age", ages[0], ages[len(ages)-1], least)
	}
}

// TestDialIsNotHurriedForever: a server whose one address does not answer, and whose other one is
// drained, costs its client connect_timeout.
func TestDialIsNotHurriedForever(t *testing.T) {
	addr := netip.MustParseAddrPort(silent(t))
	o := config.Origin{Host: "app.example", Ports: config.PortRange{First: addr.Port(), Last: addr.Port()}, Weight: 1}
	r := forward()
	r.Origins, r.Connect = []config.Origin{o}, time.Second
	p := serve(t, r)
	p.live.ResolveBy(func([]*config.Route) route.Members {
		return func(*config.Route) []origins.Member {
			return origins.Resolved(o, []netip.Addr{addr.Addr(), netip.MustParseAddr("::1")})
		}
	})
	p.live.Swap(table{r}, []*config.Route{r})
	p.live.Set().Routes[0].Origins().Origins[1].Force(health.Drain, "test", time.Now())
	p.dial()
	p.ends(route.ConnectTimedOut)
}

// TestRecordsWhy: a conn that no origin takes is recorded with the origin that was tried last, and why
// that did not take it. One that another origin takes is recorded with that one, and no error.
func TestRecordsWhy(t *testing.T) {
	up := origin(t, echo)
	resets := origin(t, func(c *net.TCPConn) { reset(c) })
	for _, test := range []struct {
		name    string
		origins []string
		verdict route.Verdict
		last    int // of the origins
		class   origins.ErrorClass
		errno   unix.Errno
	}{
		{"refused", []string{closed(t)}, route.ConnectFailed, 0, origins.ErrorRefused, unix.ECONNREFUSED},
		{"silent, then refused", []string{silent(t), closed(t)}, route.ConnectFailed, 1, origins.ErrorRefused, unix.ECONNREFUSED},
		{"refused, then silent", []string{closed(t), silent(t)}, route.ConnectTimedOut, 1, origins.ErrorTimeout, unix.ETIMEDOUT},
		{"refused, then taken", []string{closed(t), up}, route.Closed, 1, origins.NoError, 0},
		{"reset", []string{resets}, route.ResetByOrigin, 0, origins.ErrorReset, unix.ECONNRESET},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := firstOf(test.origins...)
			r.Connect = 50 * time.Millisecond
			p := serve(t, r)
			if test.verdict == route.Closed {
				c := p.dial()
				say(t, c, "hello")
				hear(t, c, "hello")
				c.Close()
			} else {
				p.refused()
			}
			got := p.ends(test.verdict)
			if got.Origin.String() != test.origins[test.last] || got.Error != test.class || got.Errno != test.errno {
				t.Errorf("recorded %+v", got)
			}
			of := p.route.Origins().Origins[test.last]
			if n := of.Errors(test.class); test.class != origins.NoError && n != 1 {
				t.Errorf("counted %d times", n)
			}
			if last, failing := of.LastFailure(config.TCP); test.class != origins.NoError && (last == nil || last.Class != test.class || failing != (test.class != origins.ErrorReset)) {
				t.Errorf("the last failure is %+v, failing %v", last, failing)
			}
		})
	}
}
