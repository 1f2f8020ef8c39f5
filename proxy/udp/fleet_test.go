package udp

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shownFlow is a flow by its addresses.
type shownFlow struct{ client, dst netip.AddrPort }

// testFleet is another host. Only the goroutine of the test uses it.
type testFleet struct {
	asks     bool // it answers later
	has      bool
	known    bool // that it has
	answered []func()
	open     int
	shown    map[shownFlow]int
	sent     []string
}

func (f *testFleet) Show(client, dst netip.AddrPort) { f.shown[shownFlow{client, dst}]++ }
func (f *testFleet) Hide(client, dst netip.AddrPort) { delete(f.shown, shownFlow{client, dst}) }

func (f *testFleet) Seek(_, _ netip.AddrPort, _ time.Duration, _ bool, answered func()) (asked, found bool) {
	if f.asks && !f.known {
		f.open++
		f.answered = append(f.answered, answered)
	}
	return f.asks && !f.known, f.known
}

func (f *testFleet) Found(_, _ netip.AddrPort) bool {
	f.open--
	return f.has
}

func (f *testFleet) Send(_, _ netip.AddrPort, _ uint8, payload []byte) {
	f.sent = append(f.sent, string(payload))
}

// newFleetLoop makes a loop with another host.
func newFleetLoop(t *testing.T, fleet *testFleet) (l *loop, origin peer, dst netip.AddrPort) {
	t.Helper()
	fleet.shown = map[shownFlow]int{}
	origin = newPeer(t, "127.0.0.1")
	listeners, dsts := listen(t, "127.0.0.1")
	return newTestLoop(t, listeners[0], Options{Routes: live(to(origin.addr()), dsts...), Fleet: fleet}), origin, dsts[0]
}

// expectHeard reads as many datagrams at the origin.
func expectHeard(t *testing.T, origin peer, want []string) {
	t.Helper()
	for _, text := range want {
		if b, _ := origin.receive(); string(b) != text {
			t.Fatalf("the origin heard %q, want %q", b, text)
		}
	}
}

// TestHeldForFleet: datagrams of a flow that another host may have wait for the answer, and are then sent there, or
// begin the flow here; likewise without an answer, and before the loop drains. None is lost.
func TestHeldForFleet(t *testing.T) {
	wake := func(l *loop) { l.handle([]unix.EpollEvent{{Fd: int32(l.orders.FD()), Events: unix.EPOLLIN}}, 2) }
	for _, test := range []struct {
		name string
		has  bool
		end  func(l *loop, f *testFleet)
	}{
		{"it has the flow", true, func(l *loop, f *testFleet) { f.answered[0](); wake(l) }},
		{"nobody has it", false, func(l *loop, f *testFleet) { f.answered[0](); wake(l) }},
		{"no answer", false, func(l *loop, f *testFleet) { l.handle(nil, answerWithin+2) }},
		{"no answer, but it has the flow", true, func(l *loop, f *testFleet) { l.handle(nil, answerWithin+2); f.answered[0]() }},
		{"the order to drain", false, func(l *loop, _ *testFleet) { obey(t, l, l.drain) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			fleet := &testFleet{asks: true, has: test.has}
			l, origin, dst := newFleetLoop(t, fleet)
			client := newPeer(t, "127.0.0.1")
			want := []string{"one", "two", "three"}
			for _, text := range want {
				client.send([]byte(text), dst)
			}
			turn(l, unix.EPOLLIN)
			if l.flows.Len() != 0 || len(fleet.answered) != 1 || len(fleet.sent) != 0 {
				t.Fatalf("%d flows, %d questions, sent %q", l.flows.Len(), len(fleet.answered), fleet.sent)
			}
			if wait, ok := l.seeking.next(); !ok || wait != answerWithin+1 || l.timeout() < 0 {
				t.Errorf("the loop waits until %v, %v", wait, ok)
			}
			test.end(l, fleet)
			if test.has {
				if !slices.Equal(fleet.sent, want) || l.flows.Len() != 0 {
					t.Errorf("sent %q, %d flows", fleet.sent, l.flows.Len())
				}
			} else {
				expectHeard(t, origin, want)
				if l.flows.Len() != 1 {
					t.Errorf("%d flows", l.flows.Len())
				}
			}
			l.handle(nil, 2*answerWithin)
			if fleet.open != 0 || l.seeking.bytes != 0 || len(l.seeking.open)+len(l.seeking.order)+len(l.seeking.due) != 0 {
				t.Errorf("%d questions are open: %+v", fleet.open, &l.seeking)
			}
		})
	}
}

// TestFleetBounds: what waits is bounded: a flow with too many datagrams begins here, and so do flows above what
// may wait. None is lost, and each flow's keep their order.
func TestFleetBounds(t *testing.T) {
	fleet := &testFleet{asks: true}
	l, origin, dst := newFleetLoop(t, fleet)
	client := newPeer(t, "127.0.0.1")
	var want []string
	for i := range maxSoughtOfOne + 3 {
		want = append(want, fmt.Sprint(i))
		client.send([]byte(want[i]), dst)
		turn(l, unix.EPOLLIN)
	}
	expectHeard(t, origin, want)
	l.seeking.bytes = maxSoughtBytes - 2
	other := newPeer(t, "127.0.0.1")
	other.send([]byte("too long"), dst)
	turn(l, unix.EPOLLIN)
	expectHeard(t, origin, []string{"too long"})
	if len(fleet.answered) != 1 || fleet.open != 0 {
		t.Errorf("asked %d times, %d questions are open", len(fleet.answered), fleet.open)
	}
	l.seeking.bytes = 0
}

// TestKnownFlow: where it is known that another host has a flow, nothing waits.
func TestKnownFlow(t *testing.T) {
	fleet := &testFleet{known: true}
	l, _, dst := newFleetLoop(t, fleet)
	newPeer(t, "127.0.0.1").send([]byte("on"), dst)
	turn(l, unix.EPOLLIN)
	if !slices.Equal(fleet.sent, []string{"on"}) || l.flows.Len() != 0 {
		t.Errorf("sent %q, %d flows", fleet.sent, l.flows.Len())
	}
}

// TestShownFlows: the fleet knows of a flow from its second datagram on, until it ends.
func TestShownFlows(t *testing.T) {
	fleet := &testFleet{}
	l, _, dst := newFleetLoop(t, fleet)
	client := newPeer(t, "127.0.0.1")
	for i, want := range []int{0, 1, 1} {
		client.send([]byte("hello"), dst)
		turn(l, unix.EPOLLIN)
		if got := fleet.shown[shownFlow{client.addr(), dst}]; got != want || len(fleet.shown) != want {
			t.Errorf("after %d datagrams shown %d times: %v", i+1, got, fleet.shown)
		}
	}
	l.endDue(1 << 60)
	if l.flows.Len() != 0 || len(fleet.shown) != 0 {
		t.Errorf("%d flows, shown %v", l.flows.Len(), fleet.shown)
	}
}

// TestJoin: a fleet that comes later knows of the flows that there are, and of those that begin then.
func TestJoin(t *testing.T) {
	listeners, dsts := listen(t, "127.0.0.1")
	origin := newPeer(t, "127.0.0.1")
	l := newTestLoop(t, listeners[0], Options{Routes: live(to(origin.addr()), dsts...)})
	early, late := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	speak := func(p peer) {
		for range 2 {
			p.send([]byte("hello"), dsts[0])
			turn(l, unix.EPOLLIN)
		}
	}
	speak(early)
	fleet := &testFleet{shown: map[shownFlow]int{}}
	l.join(fleet)
	speak(late)
	for _, p := range []peer{early, late} {
		if n := fleet.shown[shownFlow{p.addr(), dsts[0]}]; n != 1 {
			t.Errorf("a flow is shown %d times: %v", n, fleet.shown)
		}
	}
	l.endDue(1 << 60)
	if len(fleet.shown) != 0 {
		t.Errorf("after the end of the flows shown %v", fleet.shown)
	}
}
