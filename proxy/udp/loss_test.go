package udp

import (
	"testing"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// TestKernelDrops: what did not fit into the listener's receive buffer is counted.
func TestKernelDrops(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	listeners, dsts := listen(t, "127.0.0.1")
	check(t, unix.SetsockoptInt(listeners[0], unix.SOL_SOCKET, unix.SO_RCVBUF, 1)) // the kernel makes it 2,304
	sent := uint64(100)
	for range sent {
		client.send(make([]byte, 1000), dsts[0])
	}
	p := serveOn(t, Options{Listeners: listeners, Routes: live(to(origin.addr()), dsts...)}, dsts)
	waitFor(t, "the queue to be read", func() bool { return p.totals().Datagrams[route.ToOrigin][route.Forwarded] > 0 })
	waitFor(t, "the count of what was lost", func() bool {
		sent++
		client.send([]byte("the count comes with the next datagram"), dsts[0])
		lost := p.live.Unrouted.Totals().Datagrams[route.ToOrigin][route.Overflowed]
		return lost > 0 && lost < sent
	})
}

// poll returns the events of fd.
func poll(t *testing.T, fd int) int16 {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, 0)
	check(t, err)
	return fds[0].Revents
}

// TestDropsAreCountedOnce: the kernel tells the sum since the socket was opened,
// in 32 bits, beside each datagram once there was a loss.
func TestDropsAreCountedOnce(t *testing.T) {
	routes := route.NewLive(1)
	l := loop{unrouted: routes.Unrouted.Shard(0)}
	for _, drops := range []uint32{0, 5, 5, 7, 1<<32 - 1, 2} {
		l.countDropped(drops)
	}
	if got := routes.Unrouted.Totals().Datagrams[route.ToOrigin][route.Overflowed]; got != 1<<32+2 {
		t.Errorf("%d counted, want %d", got, uint64(1<<32+2))
	}
}
