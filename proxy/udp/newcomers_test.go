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

// newTurns makes a loop that a test turns by hand.
func newTurns(t *testing.T) (l *loop, origin peer, dst netip.AddrPort) {
	t.Helper()
	origin = newPeer(t, "127.0.0.1")
	listeners, dsts := listen(t, "127.0.0.1")
	opt := Options{Listeners: listeners, Routes: live(to(origin.addr()), dsts...), Log: slog.New(slog.DiscardHandler)}
	l, err := newLoop(opt, 0, newShares(opt)[0])
	check(t, err)
	t.Cleanup(func() {
		l.table.endAll(route.RelayFailed, 1)
		l.close()
	})
	return l, origin, dsts[0]
}

// newcomersTo sends a datagram each of so many clients.
func newcomersTo(t *testing.T, dst netip.AddrPort, n int) {
	t.Helper()
	for i := range n {
		newPeer(t, "127.0.0.1").send(fmt.Append(nil, i), dst)
	}
}

// TestLiveFlowsComeFirst: among many that would begin a flow, a datagram of a live one
// leaves in the turn that reads it. The others wait for theirs, in their order.
func TestLiveFlowsComeFirst(t *testing.T) {
	l, origin, dst := newTurns(t)
	client := newPeer(t, "127.0.0.1")
	client.send([]byte("live"), dst)
	turn(l, unix.EPOLLIN)
	if b, _ := origin.receive(); string(b) != "live" {
		t.Fatalf("the origin heard %q", b)
	}
	const n = 3*birthsATurn + 1
	newcomersTo(t, dst, n)
	client.send([]byte("still live"), dst)
	turn(l, unix.EPOLLIN)
	if got := len(l.table.flows); got != 1+birthsATurn {
		t.Errorf("%d flows began in one turn, want %d", got-1, birthsATurn)
	}
	if forwarded := l.table.set.Routes[0].Stats.Totals().Datagrams[route.ToOrigin][route.Forwarded]; forwarded != 2+birthsATurn {
		t.Errorf("%d datagrams were forwarded, want the live flow's two, and %d", forwarded, birthsATurn)
	}
	for !l.newcomers.queue.empty() {
		if l.timeout() != 0 {
			t.Fatal("the loop would sleep while somebody waits")
		}
		turn(l, 0)
	}
	if len(l.table.flows) != 1+n || l.newcomers.queue.held != 0 {
		t.Errorf("%d flows, want %d; %d bytes are held", len(l.table.flows), 1+n, l.newcomers.queue.held)
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

// TestNobodyWaitsWhenOrdersCome: who has arrived before an order to take nobody new is
// in, and what is handed over is all.
func TestNobodyWaitsWhenOrdersCome(t *testing.T) {
	l, _, dst := newTurns(t)
	newcomersTo(t, dst, 3*birthsATurn)
	turn(l, unix.EPOLLIN)
	obeyed := make(chan bool)
	go func() { obeyed <- l.orders.Do(func() { l.table.drain(1) }) }()
	waitFor(t, "the order", func() bool { return poll(t, l.orders.FD()) != 0 })
	l.handle([]unix.EpollEvent{{Fd: int32(l.orders.FD()), Events: unix.EPOLLIN}}, 1)
	<-obeyed
	if got := len(l.table.flows); got != 3*birthsATurn {
		t.Errorf("%d flows, want %d", got, 3*birthsATurn)
	}
}
