package datagram

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// TestErrorQueue: an error that is queued on the listener is read, or epoll would
// report it again and again.
func TestErrorQueue(t *testing.T) {
	fd := openUDP(t, loopback)
	WantErrors(fd, loopback)
	check(t, unix.Sendto(fd, []byte("nobody is there"), 0, unixAddr(closedPort(t))))
	if pollEvents(t, fd)&unix.POLLERR == 0 {
		t.Fatal("there is no error to read")
	}
	DropErrors(fd)
	if got := pollEvents(t, fd); got&unix.POLLERR != 0 {
		t.Errorf("events %#x after the errors were read", got)
	}
}

// pollEvents returns the events of fd.
func pollEvents(t *testing.T, fd int) int16 {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, 0)
	check(t, err)
	return fds[0].Revents
}

// extended writes a control message of an error queue.
func extended(level, kind int32, errno unix.Errno, origin byte) []byte {
	data := binary.NativeEndian.AppendUint32(nil, uint32(errno))
	return message(level, kind, append(data, origin, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0))
}

func TestParseError(t *testing.T) {
	to := unixAddr(originAddr)
	for _, test := range []struct {
		name    string
		control []byte
		to      unix.Sockaddr
		want    bool
	}{
		{"port unreachable", extended(unix.SOL_IP, unix.IP_RECVERR, unix.ECONNREFUSED, unix.SO_EE_ORIGIN_ICMP), to, true},
		{"IPv6", extended(unix.SOL_IPV6, unix.IPV6_RECVERR, unix.EACCES, unix.SO_EE_ORIGIN_ICMP6), unixAddr(client6), true},
		{"behind another message", append(overflow(7), extended(unix.SOL_IP, unix.IP_RECVERR, unix.EHOSTUNREACH, unix.SO_EE_ORIGIN_ICMP)...), to, true},
		{"too long for the path", extended(unix.SOL_IP, unix.IP_RECVERR, unix.EMSGSIZE, unix.SO_EE_ORIGIN_ICMP), to, false},
		{"the host's own", extended(unix.SOL_IP, unix.IP_RECVERR, unix.EHOSTUNREACH, unix.SO_EE_ORIGIN_LOCAL), to, false},
		{"no address", extended(unix.SOL_IP, unix.IP_RECVERR, unix.ECONNREFUSED, unix.SO_EE_ORIGIN_ICMP), nil, false},
		{"cut off", extended(unix.SOL_IP, unix.IP_RECVERR, unix.ECONNREFUSED, unix.SO_EE_ORIGIN_ICMP)[:18], to, false},
		{"nothing", nil, to, false},
	} {
		if _, got := parseError(test.control, test.to, nil); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
