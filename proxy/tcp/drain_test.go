package tcp_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// Drained conns live on to their end.
func TestDrain(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, forward(addr))
	var pairs [][2]*net.TCPConn
	for range 3 {
		client, origin := p.pair(conns)
		pairs = append(pairs, [2]*net.TCPConn{client, origin})
	}
	p.stop()
	for _, pair := range pairs {
		say(t, pair[0], "still here")
		hear(t, pair[1], "still here")
		pair[1].CloseWrite()
		hearFIN(t, pair[0])
		pair[0].Close()
		p.ends(route.Closed)
	}
	<-p.done
}

// The clients in the accept queue have been told by the kernel that they are
// connected: a stop that comes before they are accepted does not lose them.
func TestDrainServesTheAcceptQueue(t *testing.T) {
	const clients = 200
	tidy(t)
	r := forward(origin(t, echo))
	fd, addr := listen(t, netip.MustParseAddrPort("127.0.0.1:0"))
	var queue []*net.TCPConn
	for range clients {
		queue = append(queue, dial(t, addr))
	}
	p := serveUntil(t, stopped(), fd, addr, table{r}, r)
	for _, c := range queue {
		say(t, c, "hello")
		hear(t, c, "hello")
		c.Close()
	}
	<-p.done
	if n := len(p.records); n != clients {
		t.Errorf("%d conns were served, want %d", n, clients)
	}
}

func stopped() context.Context {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	return ctx
}

func TestDrainTimeout(t *testing.T) {
	addr, conns := accepting(t)
	r := forward(addr)
	r.Drain = short
	p := serve(t, r)
	client, origin := p.pair(conns)
	p.stop()
	hearRST(t, client)
	hearRST(t, origin)
	p.ends(route.DrainTimedOut)
	<-p.done
}

func TestDrainTimeoutWhileDialling(t *testing.T) {
	r := forward(silent(t))
	r.Drain = short
	p := serve(t, r)
	c := p.dial()
	p.stop()
	hearRST(t, c)
	p.ends(route.DrainTimedOut)
	<-p.done
}

// TestRetire: conns of a route that a reload has taken away live on, up to its
// drain_timeout; those of a route that stays are left alone.
func TestRetire(t *testing.T) {
	addr, conns := accepting(t)
	r := forward(addr)
	r.Drain = short
	p := serve(t, r)
	client, origin := p.pair(conns)
	say(t, client, "before")
	hear(t, origin, "before")

	changed := forward(addr)
	p.live.Swap(table{changed}, []*config.Route{changed})
	time.Sleep(2 * short) // longer than it would live if it were retired
	say(t, client, "its route has changed")
	hear(t, origin, "its route has changed")

	other := forward(addr)
	other.Name = "other"
	p.live.Swap(table{other}, []*config.Route{other})
	hearRST(t, client)
	hearRST(t, origin)
	p.ends(route.DrainTimedOut)
}

// TestRetireDst: a route that stays, but without a conn's dst, lets go of the conn.
func TestRetireDst(t *testing.T) {
	addr, conns := accepting(t)
	r := forward(addr)
	r.Drain = short
	p := serve(t, r)
	client, origin := p.pair(conns)
	say(t, client, "before")
	hear(t, origin, "before")
	p.live.Swap(table{}, []*config.Route{forward(addr)})
	hearRST(t, client)
	hearRST(t, origin)
	p.ends(route.DrainTimedOut)
}
