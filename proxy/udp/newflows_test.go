package udp

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// turn has l do one turn's work, with or without something to read.
func turn(l *loop, listener uint32) {
	l.handle([]unix.EpollEvent{{Fd: int32(l.listener), Events: listener}}, 1)
}

// obey has l do one turn's work with an order.
func obey(t *testing.T, l *loop, order func()) {
	t.Helper()
	obeyed := make(chan bool)
	go func() { obeyed <- l.orders.Do(order) }()
	waitFor(t, "the order", func() bool { return poll(t, l.orders.FD()) != 0 })
	l.handle([]unix.EpollEvent{{Fd: int32(l.orders.FD()), Events: unix.EPOLLIN}}, 1)
	<-obeyed
}

// newTestLoop makes a loop that a test turns by hand, on one listener.
func newTestLoop(t *testing.T, listener int, opt Options) *loop {
	t.Helper()
	opt.Listeners = []int{listener}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	l, err := newLoop(opt, 0, divideLimits(opt)[0])
	check(t, err)
	t.Cleanup(func() {
		l.endAll(route.RelayFailed, 1)
		l.close()
	})
	return l
}

// newTurns makes a loop with an origin, and a dst that its listener is bound to.
func newTurns(t *testing.T) (l *loop, routes *route.Live, origin peer, dst netip.AddrPort) {
	t.Helper()
	origin = newPeer(t, "127.0.0.1")
	listeners, dsts := listen(t, "127.0.0.1")
	routes = live(to(origin.addr()), dsts...)
	return newTestLoop(t, listeners[0], Options{Routes: routes}), routes, origin, dsts[0]
}

// newClientsTo sends a datagram each from n clients.
func newClientsTo(t *testing.T, dst netip.AddrPort, n int) {
	t.Helper()
	for i := range n {
		newPeer(t, "127.0.0.1").send(fmt.Append(nil, i), dst)
	}
}

// TestLiveFlowsComeFirst: among many that would begin a flow, a datagram of a live one
// leaves in the turn that reads it. The others wait for theirs, in their order.
func TestLiveFlowsComeFirst(t *testing.T) {
	l, routes, origin, dst := newTurns(t)
	client := newPeer(t, "127.0.0.1")
	client.send([]byte("live"), dst)
	turn(l, unix.EPOLLIN)
	if b, _ := origin.receive(); string(b) != "live" {
		t.Fatalf("the origin heard %q", b)
	}
	const n = 3*newFlowsATurn + 1
	newClientsTo(t, dst, n)
	client.send([]byte("still live"), dst)
	turn(l, unix.EPOLLIN)
	if got := l.flows.Len(); got != 1+newFlowsATurn {
		t.Errorf("%d flows began in one turn, want %d", got-1, newFlowsATurn)
	}
	if forwarded := routes.Set().Routes[0].Stats.Totals().Datagrams[route.ToOrigin][route.Forwarded]; forwarded != 2+newFlowsATurn {
		t.Errorf("%d datagrams were forwarded, want the live flow's two, and %d", forwarded, newFlowsATurn)
	}
	for !l.newFlows.waiting.empty() {
		if l.timeout() != 0 {
			t.Fatal("the loop would sleep while somebody waits")
		}
		turn(l, 0)
	}
	if l.flows.Len() != 1+n || l.newFlows.waiting.held != 0 {
		t.Errorf("%d flows, want %d; %d bytes are held", l.flows.Len(), 1+n, l.newFlows.waiting.held)
	}
	var heard []string
	for range n + 1 {
		b, _ := origin.receive()
		if string(b) != "still live" {
			heard = append(heard, string(b))
		}
	}
	for i, text := range heard {
		if text != fmt.Sprint(i) {
			t.Fatalf("the origin heard %v: out of order", heard)
		}
	}
}

// TestNewFlowsBeginBeforeOrders: a flow whose datagram arrived before an order to take no new flows
// begins, and a hand-over includes it.
func TestNewFlowsBeginBeforeOrders(t *testing.T) {
	l, _, _, dst := newTurns(t)
	newClientsTo(t, dst, 3*newFlowsATurn)
	turn(l, unix.EPOLLIN)
	obey(t, l, l.drain)
	if got := l.flows.Len(); got != 3*newFlowsATurn {
		t.Errorf("%d flows, want %d", got, 3*newFlowsATurn)
	}
}

// TestOrdersDoNotBeginFlows: an order that only asks, as a list of flows does, leaves the arrivals that wait to
// their turns. To begin all of them would keep live flows waiting.
func TestOrdersDoNotBeginFlows(t *testing.T) {
	l, _, _, dst := newTurns(t)
	newClientsTo(t, dst, 4*newFlowsATurn)
	turn(l, unix.EPOLLIN)
	obey(t, l, func() { l.flows.Listing() })
	if got := l.flows.Len(); got != 2*newFlowsATurn {
		t.Errorf("%d flows after two turns, want %d", got, 2*newFlowsATurn)
	}
}
