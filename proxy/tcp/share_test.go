package tcp

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/route"
)

// Conns that come one by one, and stay, must not all end up on the loop that waits
// in front: it would relay for all on one core.
func TestLoopsShareConns(t *testing.T) {
	const clients = 40
	_, listener := loopAndListener(t)
	_, origin := loopAndListener(t)
	if err := unix.Listen(origin, clients); err != nil {
		t.Fatal(err)
	}
	to, err := call.LocalAddr(origin)
	if err != nil {
		t.Fatal(err)
	}
	r := &config.Route{Name: "test", ProxyProtocol: config.ProxyOff, Origins: []config.Origin{{
		Text: to.String(), Addr: to.Addr(), Ports: config.PortRange{First: to.Port(), Last: to.Port()}, Weight: 1,
	}}}
	live := route.NewLive(2)
	live.Swap(anywhere{r}, []*config.Route{r})
	opt := Options{Listeners: []int{listener}, Loops: 2, Routes: live, Log: slog.New(slog.DiscardHandler)}
	loops, err := openLoops(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running errgroup.Group
	running.Go(func() error { return runLoops(ctx, loops, opt) })
	for i := range clients {
		knock(t, listener)
		for held(loops, 0)+held(loops, 1) <= i {
			time.Sleep(time.Millisecond)
		}
	}
	for i := range loops {
		if n := held(loops, i); n < clients/4 {
			t.Errorf("loop %d has %d of %d conns", i, n, clients)
		}
	}
	stop()
	if err := running.Wait(); err != nil {
		t.Error(err)
	}
	closeMailboxes(loops)
}

// held is the number of conns of a loop.
func held(loops []*loop, i int) (n int) {
	loops[i].mailbox.Do(func() { n = loops[i].connCount })
	return n
}
