package socket

import (
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
)

// keepaliveProbes is the number of unanswered probes after which the kernel ends a conn with
// ETIMEDOUT. They are spread over as long a time as the conn was quiet before the first.
const keepaliveProbes = 8

// Kernel makes the calls on the sockets of conns in service. It has no state: a loop keeps it
// behind an interface, so that tests can script a conn's sockets.
type Kernel struct{}

// Receive reads into b, which has room for a byte at least. It goes straight to the
// socket, where read(2) goes through the file system's checks and notifications.
func (Kernel) Receive(fd int32, b []byte) (int, error) { return receive(fd, b, 0) }

// Peek copies what Receive would read, and leaves it in the queue.
func (Kernel) Peek(fd int32, b []byte) (int, error) { return receive(fd, b, unix.MSG_PEEK) }

// Discard reads n bytes or fewer without a copy: on TCP, MSG_TRUNC does that (tcp(7), since Linux
// 2.4).
func (Kernel) Discard(fd int32, n int) (int, error) {
	return call.Result(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, uintptr(n), unix.MSG_TRUNC, 0, 0))
}

func receive(fd int32, b []byte, flags uintptr) (int, error) {
	return call.Result(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0))
}

// Send writes b, which has a byte at least.
func (Kernel) Send(fd int32, b []byte) (int, error) {
	return call.Sendto(int(fd), b, unix.MSG_NOSIGNAL, nil)
}

// Splice moves bytes between a socket and a pipe, and does not wait for either.
func (Kernel) Splice(from, to int32, most int) (int, error) {
	const flags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE
	return call.Result(unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(most), flags))
}

// SendFIN ends what the peer gets; the other way stays open.
func (Kernel) SendFIN(fd int32) error {
	_, err := call.Result(unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0))
	return err
}

// Close closes the socket, with FIN unless something is unread (RFC 9293 §3.6.1: then RST).
func (Kernel) Close(fd int32) { call.Close(int(fd)) }

// EnableKeepalive has the kernel probe the peer once it was quiet for that long. The kernel counts
// whole seconds, so durations are rounded up. A socket that refuses an option is about to fail
// anyway.
func (Kernel) EnableKeepalive(fd int32, after time.Duration) {
	interval := after / keepaliveProbes
	_ = call.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(after))
	_ = call.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(interval))
	_ = call.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepaliveProbes)
	_ = call.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
}

// LimitPacing has the kernel send no more than rate bytes of payload a second; 0: as fast as it can.
// A socket that paces (since Linux 4.13 without the fq qdisc: tcp_internal_pacing) sends its first ten
// segments at once. A socket that refuses the option is about to fail anyway.
func (Kernel) LimitPacing(fd int32, rate config.Rate) {
	limit := ^uint64(0) // unsigned long, and so 64 bits on the machines that anyport runs on
	if rate > 0 {
		limit = uint64(rate)
	}
	_ = call.SetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, limit)
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// TakeError fetches the error that waits on the socket, which clears it.
func (Kernel) TakeError(fd int32) error {
	number, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if number != 0 {
		return unix.Errno(number)
	}
	return nil
}

// Await has the kernel report the socket as readable only once it has n bytes, and makes room for
// them in the receive buffer (tcp_set_rcvlowat, since Linux 4.18); 1 undoes it. FIN and RST are
// reported in any case. If the kernel refuses, there are more events.
func (Kernel) Await(fd int32, n int) {
	_ = call.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
}

// Unread is the number of bytes that the peer has sent and nobody has read.
func (Kernel) Unread(fd int32) uint32 { return queue(fd, unix.SIOCINQ) }

// Unacked is the number of bytes that the peer has not acknowledged.
func (Kernel) Unacked(fd int32) uint32 { return queue(fd, unix.SIOCOUTQ) }

func queue(fd int32, which uint) uint32 {
	n, err := unix.IoctlGetInt(int(fd), which)
	if err != nil || n < 0 {
		return 0
	}
	return uint32(n)
}

// Info is what TCP knows of the socket.
func (Kernel) Info(fd int32) call.TCPInfo { return call.GetTCPInfo(int(fd)) }

// LocalAddr is the address and port that the socket is bound to; the zero value if it has none any more.
func (Kernel) LocalAddr(fd int32) netip.AddrPort {
	own, err := call.LocalAddr(int(fd))
	if err != nil {
		return netip.AddrPort{}
	}
	return own
}

// Reset closes the socket with RST: what the peer got so far must not look complete.
func (Kernel) Reset(fd int32) {
	_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	call.Close(int(fd))
}
