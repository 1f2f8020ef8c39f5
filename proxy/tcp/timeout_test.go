package tcp_test

import (
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
		r.HalfClose, r.Idle = short, time.Hour // whose timer was set first
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
