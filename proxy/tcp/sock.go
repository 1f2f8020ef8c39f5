package tcp

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// socket opens one to dial from.
func socket(family int) (fd int, err error) {
	return call.Socket(family, unix.SOCK_STREAM, unix.IPPROTO_TCP)
}

// prepare sets what conns need: on a listener, so that those it accepts inherit
// it and are spared the calls, and on a socket to dial from. SO_REUSEADDR is for ports.go.
func prepare(fd int) error {
	if err := call.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	if err := call.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt TCP_NODELAY", err)
	}
	return os.NewSyscallError("setsockopt SO_OOBINLINE", call.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1))
}

// connect begins to dial to, from an address, or an address and port, where that is valid.
// The conn is made or has failed once the socket is writable.
func connect(fd int, to, from netip.AddrPort) error {
	if err := prepare(fd); err != nil {
		return err
	}
	if from.IsValid() {
		if err := bind(fd, from); err != nil {
			return err
		}
	}
	name := call.SockaddrOf(to)
	switch err := call.Connect(fd, name.Bytes()); err {
	case unix.EINPROGRESS, unix.EINTR:
		return nil
	case unix.EADDRNOTAVAIL:
		return call.ErrNoPort
	default:
		return err
	}
}

// lateACK lets the handshake's last ACK go with the header, which follows at once: a
// packet less. On a socket that dials, TCP_DEFER_ACCEPT does that and nothing else
// (tcp_rcv_synsent_state_process; the ACK goes alone after 200 ms); TCP_QUICKACK
// would have the kernel delay later ACKs too. Without it all works as well.
func lateACK(fd int) { _ = call.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1) }

// bind leaves a port of 0 to connect, which can then share it among conns to
// different origins: the 28,000 ephemeral ports of source are no limit to all.
func bind(fd int, from netip.AddrPort) error {
	if from.Port() == 0 {
		if err := call.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return err
		}
	}
	name := call.SockaddrOf(from)
	err := call.Bind(fd, name.Bytes())
	if errors.Is(err, unix.EADDRINUSE) {
		return call.ErrNoPort
	}
	return err
}

func (kernel) failure(fd int32) error {
	number, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if number != 0 {
		return unix.Errno(number)
	}
	return nil
}

func (kernel) inQueue(fd int32) uint32  { return queue(fd, unix.SIOCINQ) }
func (kernel) outQueue(fd int32) uint32 { return queue(fd, unix.SIOCOUTQ) }

func queue(fd int32, which uint) uint32 {
	n, err := unix.IoctlGetInt(int(fd), which)
	if err != nil || n < 0 {
		return 0
	}
	return uint32(n)
}

func (kernel) abort(fd int32) {
	_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	call.Close(int(fd))
}
