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
	shares, err := newShares(opt)
	check(t, err)
	l, err = newLoop(opt, 0, shares[0])
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
	for len(l.newcomers.waiting) > 0 {
		if l.timeout() != 0 {
			t.Fatal("the loop would sleep while somebody waits")
		}
		turn(l, 0)
	}
	if len(l.table.flows) != 1+n || l.newcomers.held != 0 {
		t.Errorf("%d flows, want %d; %d bytes are held", len(l.table.flows), 1+n, l.newcomers.held)
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

// TestRoomToWait is bounded, in messages and in bytes.
func TestRoomToWait(t *testing.T) {
	for _, test := range []struct{ size, want int }{{1, maxWaiting}, {64 << 10, maxHeld >> 16}} {
		var n newcomers
		a := arrival{train: train{bytes: make([]byte, test.size)}}
		for range test.want {
			if !n.wait(a) {
				t.Fatalf("no room for %d messages of %d bytes", test.want, test.size)
			}
		}
		if n.wait(a) {
			t.Errorf("room for more than %d messages of %d bytes", test.want, test.size)
		}
		if got := len(n.next(3)); got != 3 || !n.wait(a) {
			t.Errorf("%d went; is there no room after that?", got)
		}
		if n.next(maxWaiting); n.held != 0 || len(n.waiting) != 0 {
			t.Errorf("%d messages and %d bytes are left", len(n.waiting), n.held)
		}
	}
}

// TestWaitingKeepsItsBytes: what waits is not overwritten by the next batch.
func TestWaitingKeepsItsBytes(t *testing.T) {
	var n newcomers
	buffer := []byte("first")
	n.wait(arrival{train: train{bytes: buffer}})
	copy(buffer, "other")
	if got := n.next(1)[0].bytes; string(got) != "first" {
		t.Errorf("%q", got)
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
