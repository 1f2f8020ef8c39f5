package tcp_test

import (
	"net"
	"testing"
	"time"

	"anyport/proxy/route"
)

const short = 200 * time.Millisecond

func TestIdleTimeout(t *testing.T) {
	addr, conns := accepting(t)
	r := forward(addr)
	r.Idle = short
	p := serve(t, r)
	client, origin := p.pair(conns)
	hearRST(t, client)
	hearRST(t, origin)
	p.ends(route.IdleTimedOut)
}

// A reader that stalls for ever is idle, too.
func TestIdleTimeoutOfStalledReader(t *testing.T) {
	addr, conns := accepting(t)
	r := forward(addr)
	r.Idle = 2 * time.Second
	p := serve(t, r)
	client, origin := p.pair(conns)
	fill(t, client)
	p.ends(route.IdleTimedOut)
	hearSomeThenRST(t, origin)
}

func TestHalfCloseTimeout(t *testing.T) {
	for _, clientFirst := range []bool{true, false} {
		addr, conns := accepting(t)
		r := forward(addr)
		r.HalfClose = short
		p := serve(t, r)
		first, second := p.pair(conns)
		if !clientFirst {
			first, second = second, first
		}
		first.CloseWrite()
		hearFIN(t, second)
		hearRST(t, first)
		p.ends(route.HalfCloseTimedOut)
	}
}

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

// The clients in the accept queue were told by the kernel that they are connected.
func TestDrainServesTheAcceptQueue(t *testing.T) {
	p := serve(t, forward(origin(t, echo)))
	var clients []*net.TCPConn
	for range 200 {
		clients = append(clients, p.dial())
	}
	p.stop()
	for _, c := range clients {
		say(t, c, "hello")
		hear(t, c, "hello")
		c.Close()
	}
	<-p.done
	if n := len(p.records); n != len(clients) {
		t.Errorf("%d conns were served, want %d", n, len(clients))
	}
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
