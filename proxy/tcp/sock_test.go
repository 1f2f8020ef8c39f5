package tcp

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// With lateACK a conn that is made has sent its SYN alone: the ACK waits for data.
func TestLateACK(t *testing.T) {
	for _, c := range []struct {
		name string
		late bool
		sent uint32
	}{
		{"SYN and ACK", false, 2},
		{"SYN", true, 1},
	} {
		_, listener := loopAndListener(t)
		to, err := call.LocalAddr(listener)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := socket(unix.AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if c.late {
			lateACK(fd)
		}
		if err := connect(fd, to, netip.AddrPort{}); err != nil {
			t.Fatal(err)
		}
		dialled := end{fd: int32(fd)}
		dialled.await(t, unix.POLLOUT)
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		if info.Segs_out != c.sent {
			t.Errorf("%d segments were sent, want %d: %s", info.Segs_out, c.sent, c.name)
		}
	}
}
