package tcp_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
)

// aged has the next conn move as one that has lived for two hours, and been idle for one.
func aged(t *testing.T, a, b *proxy, change func(c *tcp.Conn)) {
	t.Helper()
	err := a.move(b, func(batch []tcp.Conn) error {
		for i := range batch {
			batch[i].Begun, batch[i].Last = batch[i].Begun.Add(-2*time.Hour), batch[i].Last.Add(-time.Hour)
			change(&batch[i])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMoveKeepsTime(t *testing.T) {
	r := forward(origin(t, echo))
	r.Idle = time.Hour + time.Second
	a, b := twins(t, r)
	c := a.dial()
	say(t, c, "hello")
	hear(t, c, "hello")
	aged(t, a, b, func(*tcp.Conn) {})
	for page := range b.live.Conns {
		if page[0].Age < 2*time.Hour || page[0].Idle < time.Hour {
			t.Errorf("listed %+v", page[0])
		}
	}
	hearRST(t, c)
	if r := b.ends(route.IdleTimedOut); r.Took < 2*time.Hour || r.Took > 3*time.Hour {
		t.Errorf("recorded %+v", r)
	}
}

// TestMoveOfGoneRoute: a conn whose route is not there lives on, up to its drain_timeout,
// of which some may be over.
func TestMoveOfGoneRoute(t *testing.T) {
	for _, test := range []struct {
		name  string
		drain time.Duration
		cut   time.Duration // before now; 0: its route was in service
	}{
		{"gone just now", short, 0},
		{"gone before", time.Hour, time.Minute},
		{"gone long before", time.Hour, 24 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr, conns := accepting(t)
			r := forward(addr)
			r.Idle, r.Drain = 24*time.Hour, test.drain
			other := forward(addr)
			other.Name = "other"
			a, b := serve(t, r), serve(t, other)
			client, origin := a.pair(conns)
			aged(t, a, b, func(c *tcp.Conn) {
				if test.cut > 0 {
					c.Cut = time.Now().Add(-test.cut)
				}
			})
			hearRST(t, client)
			hearRST(t, origin)
			if r := b.ends(route.DrainTimedOut); r.Route != "test" || r.Origin.String() != addr {
				t.Errorf("recorded %+v", r)
			}
			if n := b.live.Unrouted.Active(config.TCP); n != 0 {
				t.Errorf("%d conns are left", n)
			}
		})
	}
}

// TestMoveDiallingOfGoneRoute: the header that the origin is owed is sent, also if the route
// is not there.
func TestMoveDiallingOfGoneRoute(t *testing.T) {
	addr, conns := accepting(t)
	other := forward(addr)
	other.Name = "other"
	a, b := serve(t, forward(addr)), serve(t, other)
	client, origin := a.pair(conns)
	aged(t, a, b, func(c *tcp.Conn) { c.Dialling, c.Header = true, config.ProxyV1 })
	from, dst := client.LocalAddr().(*net.TCPAddr), client.RemoteAddr().(*net.TCPAddr)
	hear(t, origin, fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n", from.Port, dst.Port))
	reset(client)
	b.ends(route.ResetByClient)
}

// TestMoveAfterRetire: that its route has gone is known of a conn where it comes to.
func TestMoveAfterRetire(t *testing.T) {
	addr, conns := accepting(t)
	r := forward(addr)
	a := serve(t, r)
	client, _ := a.pair(conns)
	other := forward(addr)
	other.Name = "other"
	b := serve(t, other)
	a.live.Swap(table{other}, []*config.Route{other})
	err := a.move(b, func(batch []tcp.Conn) error {
		if left := time.Until(batch[0].Cut); left <= 0 || left > r.Drain {
			t.Errorf("%v are left, want up to %v", left, r.Drain)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	reset(client)
	b.ends(route.ResetByClient)
}

// TestMoveToAChangedFile: the process that a conn comes to has its route, which forwards the
// conn's dst no more.
func TestMoveToAChangedFile(t *testing.T) {
	addr, conns := accepting(t)
	r := forward(addr)
	r.Drain = 200 * time.Millisecond
	a, b := serve(t, r), serve(t, r)
	client, _ := a.pair(conns)
	b.live.Swap(table{}, []*config.Route{r})
	if err := a.move(b, func([]tcp.Conn) error { return nil }); err != nil {
		t.Fatal(err)
	}
	b.ends(route.DrainTimedOut)
	reset(client)
}
