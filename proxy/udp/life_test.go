package udp

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/datagram"
	"anyport/proxy/header"
	"anyport/proxy/mailbox"
	"anyport/proxy/route"
)

func TestIdleFlowEnds(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	origin.echo()
	r := to(origin.addr())
	r.UDPIdle = time.Second // the echo takes less, also on an emulated machine
	p := serve(t, r, "127.0.0.1")
	client.send([]byte("once"), p.dsts[0])
	client.expect([]byte("once"), p.dsts[0])
	got := p.record(t)
	if got.Took < r.UDPIdle {
		t.Errorf("ended after %v", got.Took)
	}
	want := route.Record{
		Begun: got.Begun, Took: got.Took, Protocol: config.UDP, Route: "test", Client: client.addr(), Dst: p.dsts[0],
		Origin: origin.addr(), Source: got.Source, Verdict: route.IdleTimedOut, Phase: route.InData,
		ID: got.ID, Attempts: 1, Sent: [2]route.Sent{{Bytes: 4, Packets: 1}, {Bytes: 4, Packets: 1}}, Path: route.InUser,
	}
	if got.ID == 0 || !got.Source.Addr().IsLoopback() || got.Source.Port() == 0 {
		t.Errorf("id %v, source %v", got.ID, got.Source)
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestEvictedFlowKeepsItsDatagrams: with room for one flow, each datagram of two
// clients in turn ends the flow of the other, whose fd it then gets. What waits
// for the old owner must not leave through the new one. Each flow has a source address of its
// own, for a port may be given twice.
func TestEvictedFlowKeepsItsDatagrams(t *testing.T) {
	noLeaks(t)
	origin := newPeer(t, "127.0.0.1")
	clients := []peer{newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")}
	listeners, dsts := listen(t, "127.0.0.1")
	r := to(origin.addr())
	r.ProxyProtocol = config.ProxySPP
	const n = datagram.BatchSize / 2
	for i := range n {
		r.Source = append(r.Source, netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}))
	}
	for i := range n { // all are there before the loop reads the first
		clients[i%2].send(nil, dsts[0])
	}
	p := serveOn(t, Options{Listeners: listeners, Routes: live(r, dsts...), MaxFlows: 1}, dsts)
	clientOf := map[netip.Addr]netip.AddrPort{}
	for range n {
		got, flow := origin.receive()
		client, _, _, err := header.ParseSPP(got)
		check(t, err)
		if before, ok := clientOf[flow.Addr()]; ok {
			t.Errorf("%v and %v shared the flow from %v", before, client, flow)
		}
		clientOf[flow.Addr()] = client
	}
	p.stop()
	if evicted := p.totals().Ended[config.UDP][route.Evicted]; evicted != n-1 {
		t.Errorf("%d flows gave way, want %d", evicted, n-1)
	}
}

// TestEventOfAClosedSocket: an event that was read before its flow ended is not
// taken for one of the flow that has the fd now.
func TestEventOfAClosedSocket(t *testing.T) {
	queue, err := mailbox.New()
	check(t, err)
	defer queue.Close()
	l := loop{listener: -1, in: receiveBatch(t, 1), orders: queue, owners: owners{{1: {flow: &liveFlow{}, generation: 2}}}}
	l.handle([]unix.EpollEvent{{Fd: 0, Pad: 1}, {Fd: 1, Pad: 1}}, 1) // to read would crash: the flow has no counters
}

// TestRouteRemoved: a reload that removes the route ends its flows, once the drain
// timeout (here none) has passed.
func TestRouteRemoved(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	origin.echo()
	p := serve(t, to(origin.addr()), "127.0.0.1")
	client.send([]byte("before"), p.dsts[0])
	client.expect([]byte("before"), p.dsts[0])
	p.live.Swap(routes{}, nil)
	if got := p.record(t); got.Verdict != route.DrainTimedOut {
		t.Errorf("the flow ended with %v, want %v", got.Verdict, route.DrainTimedOut)
	}
	client.send([]byte("later"), p.dsts[0])
	if got := p.record(t); got.Verdict != route.NoRoute {
		t.Errorf("the next datagram met %v, want %v", got.Verdict, route.NoRoute)
	}
}

// TestStop: live flows go on while the proxy drains, new ones are refused.
func TestStop(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	origin.echo()
	r := to(origin.addr())
	r.Drain = time.Hour
	p := serve(t, r, "127.0.0.1")
	client.send([]byte("before"), p.dsts[0])
	client.expect([]byte("before"), p.dsts[0])
	stopped := make(chan struct{})
	go func() { p.stop(); close(stopped) }()
	waitFor(t, "a new flow to be refused", func() bool {
		newPeer(t, "127.0.0.1").send([]byte("late"), p.dsts[0])
		client.send([]byte("go on"), p.dsts[0])
		client.expect([]byte("go on"), p.dsts[0])
		return p.totals().Ended[config.UDP][route.Draining] > 0
	})
	<-stopped // the flow has been quiet for long enough, and its drain timeout is an hour away
	waitFor(t, "the client's record", func() bool {
		r := p.record(t)
		return r.Client == client.addr() && r.Verdict == route.IdleTimedOut
	})
}

// TestEndsInTurns: of very many flows that are due a turn ends a bounded number, and the loop does not sleep
// before the last. A flow that has ended meanwhile is left out.
func TestEndsInTurns(t *testing.T) {
	const n = 2*endsATurn + 1
	for name, due := range map[string]func(l *loop) (at time.Duration){
		"by the clock": func(*loop) time.Duration { return 1 << 60 },
		"all of a route": func(l *loop) time.Duration {
			var all []*liveFlow
			for f := range l.flows.All {
				all = append(all, f)
			}
			l.endLater(all, route.HoursOver)
			return 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, routes, _, dst := newTurns(t)
			newClientsTo(t, dst, n)
			turn(l, unix.EPOLLIN)
			l.beginAllWaiting(1)
			at := due(l)
			for left := n - endsATurn; left > 0; left -= endsATurn {
				l.endDue(at)
				if l.flows.Len() != left {
					t.Errorf("%d flows are left, want %d", l.flows.Len(), left)
				}
				if at == 1 && l.timeout() != 0 {
					t.Error("the loop would sleep")
				}
			}
			for f := range l.flows.All {
				l.end(f, route.Killed, at)
			}
			l.endDue(at)
			if l.flows.Len() != 0 || len(l.ending) != 0 {
				t.Errorf("%d flows, %d to end", l.flows.Len(), len(l.ending))
			}
			if killed := routes.Set().Routes[0].Stats.Totals().Ended[config.UDP][route.Killed]; killed != 1 {
				t.Errorf("%d flows of 1 were killed", killed)
			}
		})
	}
}
