package udp

import (
	"testing"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/route"
)

// TestKernelDrops: what an origin sends and does not fit into the receive buffer of its socket is counted
// once, of the route. It is known with the next datagram.
func TestKernelDrops(t *testing.T) {
	origin := newPeer(t, "127.0.0.1")
	l, f := beginOn(t, to(origin.addr()), nil)
	fd := int(f.Sockets.fd)
	l.expectBursts(f)
	check(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<14))
	local, err := call.LocalAddr(fd)
	check(t, err)
	const sent = 100
	for range sent {
		origin.send(make([]byte, 1000), local)
	}
	lost := func() uint64 {
		for poll(t, fd) != 0 {
			l.readOrigin(fd, owner{flow: f}, 1)
			l.flush()
		}
		return f.Route.Stats.Totals().Datagrams[route.ToClient][route.Overflowed]
	}
	if n := lost(); n != 0 {
		t.Errorf("%d are counted before the kernel has said so", n)
	}
	read := uint64(0)
	for range 3 {
		origin.send([]byte("the count comes with this one"), local)
		if n := lost(); n == 0 || n >= sent || read > 0 && n != read {
			t.Errorf("%d are counted of %d, %d before", n, sent, read)
		} else {
			read = n
		}
	}
}

// poll returns the events of fd.
func poll(t *testing.T, fd int) int16 {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, 0)
	check(t, err)
	return fds[0].Revents
}

// TestDropsAreCountedOnce: the kernel tells the sum since the socket was opened, in 32 bits, beside each
// datagram once there was a loss. What another process has been told is counted there.
func TestDropsAreCountedOnce(t *testing.T) {
	for _, test := range []struct {
		name  string
		count dropCount
		told  []uint32
		want  uint64
	}{
		{"own", dropCount{}, []uint32{0, 5, 5, 7, 1<<32 - 1, 2}, 1<<32 + 2},
		{"inherited", dropCount{inherited: true}, []uint32{7, 7, 9}, 2},
		{"inherited without a loss", dropCount{inherited: true}, []uint32{0, 3}, 3},
		{"a message without a count", dropCount{}, []uint32{5, 0, 6}, 6},
	} {
		sum := uint64(0)
		for _, n := range test.told {
			sum += uint64(test.count.since(n))
		}
		if sum != test.want {
			t.Errorf("%s: %d counted, want %d", test.name, sum, test.want)
		}
	}
}
