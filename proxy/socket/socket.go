// Package socket has what a conn's sockets are asked of the kernel, without conns: how one is
// opened, set up and dialled from (socket.go, ports.go), and the calls on a live one (kernel.go),
// none of which waits.
package socket

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// Open opens a socket to dial from.
func Open(family int) (fd int, err error) {
	return call.Socket(family, unix.SOCK_STREAM, unix.IPPROTO_TCP)
}

// SetOptions sets what conns need: on a listener, whose accepted sockets inherit it without a
// call each, and on a socket to dial from. SO_REUSEADDR is for [Ports].
func SetOptions(fd int) error {
	if err := call.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	if err := call.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt TCP_NODELAY", err)
	}
	return os.NewSyscallError("setsockopt SO_OOBINLINE", call.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1))
}

// Connect begins to dial an origin, from an address, or an address and port, if from is valid.
// The dial has succeeded or failed once the socket is writable.
func Connect(fd int, to, from netip.AddrPort) error {
	if err := SetOptions(fd); err != nil {
		return err
	}
	if from.IsValid() {
		if err := bind(fd, from); err != nil {
			return err
		}
	}
	return connect(fd, to, call.ErrNoPort)
}

// ConnectAs is Connect from the address and port of a client. If another conn has the pair of
// addresses and ports, it returns call.ErrClientPort: another port would not be the client's.
func ConnectAs(fd int, to, client netip.AddrPort) error {
	if err := SetOptions(fd); err != nil {
		return err
	}
	if err := call.BindAsClient(fd, client); err != nil {
		return err
	}
	return connect(fd, to, call.ErrClientPort)
}

// connect begins to dial. The kernel answers EADDRNOTAVAIL if another conn has the pair of addresses
// and ports (__inet_check_established), or if it finds no free port: taken is returned then.
func connect(fd int, to netip.AddrPort, taken error) error {
	name := call.SockaddrOf(to)
	switch err := call.Connect(fd, name.Bytes()); err {
	case unix.EINPROGRESS, unix.EINTR:
		return nil
	case unix.EADDRNOTAVAIL:
		return taken
	default:
		return err
	}
}

// DelayACK lets the handshake's last ACK go with the header, which follows at once: that saves
// a packet. On a socket that dials, TCP_DEFER_ACCEPT does that and nothing else
// (tcp_rcv_synsent_state_process; the ACK goes alone after 200 ms); TCP_QUICKACK
// would have the kernel delay later ACKs too. Without it all works as well.
func DelayACK(fd int) { _ = call.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1) }

// bind leaves a port of 0 to connect (Linux 4.2), which can then share it among conns to
// different origins: the 28,000 ephemeral ports of a source do not limit all of them together.
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
