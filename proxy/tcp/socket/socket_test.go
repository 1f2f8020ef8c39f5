package socket

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// With DelayACK a dial that has succeeded has sent its SYN only: the ACK waits for data.
func TestDelayACK(t *testing.T) {
	for _, c := range []struct {
		name string
		late bool
		sent uint32
	}{
		{"SYN and ACK", false, 2},
		{"SYN", true, 1},
	} {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		to := listener.Addr().(*net.TCPAddr).AddrPort()
		fd, err := Open(unix.AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if c.late {
			DelayACK(fd)
		}
		if err := Connect(fd, to, netip.AddrPort{}); err != nil {
			t.Fatal(err)
		}
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		for { // Go's scheduler sends signals
			n, err := unix.Poll(poll, 10_000)
			if n == 1 {
				break
			}
			if err != unix.EINTR {
				t.Fatalf("the dial has not ended after 10 s: %d, %v", n, err)
			}
		}
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		if info.Segs_out != c.sent {
			t.Errorf("%d segments were sent, want %d: %s", info.Segs_out, c.sent, c.name)
		}
	}
}
