package tcp

import (
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// throttled is a fakeConn that relays, on a route with a route_bandwidth.
func throttled(t *testing.T, bandwidth config.Rate) *fakeConn {
	f := newFakeConn()
	f.happen(t, "client reads") // writable
	f.happen(t, "origin accepts")
	f.reload(func(r *config.Route) { r.RouteBandwidth = bandwidth })
	return f
}

// reload puts the conn's route, changed, into service.
func (f *fakeConn) reload(change func(*config.Route)) {
	r := *f.conn.route.Route
	change(&r)
	f.routes.Swap(anywhere{&r}, []*config.Route{&r})
	f.applyReload()
	f.serveAllReady()
}

// TestThrottle lets an origin send faster than the route may: the client gets what the rate allows, in
// order, and FIN at once after it.
func TestThrottle(t *testing.T) {
	const rate, bytes = 10 << 10, 60 << 10
	f := throttled(t, rate)
	f.happen(t, "origin pours 61440")
	for passed := time.Duration(0); passed < 4*time.Second; passed += 100 * time.Millisecond {
		f.pass(t, "100ms")
		most := (passed+350*time.Millisecond).Seconds()*rate + 4<<10 // the burst, and a quantum that has begun
		if heard := len(f.peers[1].heard); float64(heard) > most {
			t.Fatalf("%d bytes after %v, want at most %.0f", heard, passed, most)
		}
	}
	if heard := len(f.peers[1].heard); heard < 38<<10 {
		t.Errorf("%d bytes in 4 s, want about %d", heard, 4*rate)
	}
	for range 25 {
		f.pass(t, "100ms")
	}
	f.happen(t, "origin closes")
	if got, want := f.String(), "relaying, client: 61440 FIN"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	f.happen(t, "client says bye")
	if got, want := f.String(), "relaying, client: 61440 FIN, origin: bye"; got != want {
		t.Errorf("the other direction: got %s, want %s", got, want)
	}
	if len(f.throttles) != 0 {
		t.Error("turns are left")
	}
}

// TestThrottledConn has another conn take the route's bandwidth for long: meanwhile a conn waits. It
// may be half-closed, quiet beyond every timeout, reloaded or reset.
func TestThrottledConn(t *testing.T) {
	const rate = 1 << 10
	for _, test := range []struct {
		name string
		do   func(*fakeConn)
		want string
	}{
		{"it waits", func(*fakeConn) {}, "relaying, origin: FIN, 5 unread"},
		{"beyond half_close_timeout", func(f *fakeConn) {
			for range 15 {
				f.pass(t, "1m")
			}
		}, "relaying, origin: FIN, 5 unread"},
		{"until its turn", func(f *fakeConn) { f.pass(t, "17m30s") }, "relaying, client: later, origin: FIN"},
		{"FIN needs no bandwidth", func(f *fakeConn) {
			f.peers[2].says = nil
			f.pass(t, "17m30s")
			f.happen(t, "origin closes")
		}, "closed, client: closed, origin: FIN closed"},
		{"a reload without the limit", func(f *fakeConn) {
			f.reload(func(r *config.Route) { r.RouteBandwidth = 0 })
		}, "relaying, client: later, origin: FIN"},
		{"a reload with another limit", func(f *fakeConn) {
			f.reload(func(r *config.Route) { r.RouteBandwidth = 2 << 10 })
		}, "relaying, client: later, origin: FIN"},
		{"the client resets", func(f *fakeConn) { f.happen(t, "client resets") }, "client_reset, client: RST, origin: FIN RST"},
		{"it drains", func(f *fakeConn) {
			f.conn.drained = f.now + time.Second
			f.setTimer(f.conn)
			f.pass(t, "2s")
		}, "drain_timeout, client: RST, origin: FIN RST"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := throttled(t, rate)
			shared := f.conn.route.Shared(route.ToClient)
			shared.Take(1<<20, f.started.Add(f.now)) // 17 minutes' worth
			f.happen(t, "client closes")
			f.happen(t, "origin says later")
			if shared.Waiting() != 1 {
				t.Fatal("the conn does not wait")
			}
			test.do(f)
			if got := f.String(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if paused := f.conn.paused(); paused != (shared.Waiting() == 1) || paused == (len(f.throttles) == 0) {
				t.Errorf("paused %v, while %d conns wait, and %d have turns", paused, shared.Waiting(), len(f.throttles))
			}
		})
	}
}

// TestPacedConn changes the bandwidth of a live conn: both of its sockets follow.
func TestPacedConn(t *testing.T) {
	f := throttled(t, 0)
	for _, rate := range []config.Rate{5 << 20, 1 << 20, 0} {
		f.reload(func(r *config.Route) { r.Bandwidth = rate })
		if c, o := f.peers[1].paced, f.peers[2].paced; c != rate || o != rate {
			t.Errorf("the sockets have %v and %v, want %v", c, o, rate)
		}
		if got := f.exportConn(f.conn).Paced; got != rate {
			t.Errorf("it would move with %v, want %v", got, rate)
		}
	}
}
