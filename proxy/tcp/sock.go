package tcp

import (
	"errors"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// prepare sets what conns need: on a listener, so that those it accepts inherit
// it and are spared the calls, and on a socket to dial from.
func prepare(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt TCP_NODELAY", err)
	}
	return os.NewSyscallError("setsockopt SO_OOBINLINE", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1))
}

// accept takes one conn from the queue.
func accept(listener int) (fd int, client netip.AddrPort, err error) {
	fd, address, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return fd, unmap(address), err
}

// local returns what the client asked for.
func local(fd int) (netip.AddrPort, error) {
	address, err := unix.Getsockname(fd)
	return unmap(address), err
}

// unmap is the boundary at which ::ffff:a.b.c.d becomes a.b.c.d and zones end.
func unmap(address unix.Sockaddr) netip.AddrPort {
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// connect begins to dial to, from source where that is valid. The conn is made
// or has failed once the socket is writable.
func connect(fd int, to netip.AddrPort, source netip.Addr) error {
	if err := prepare(fd); err != nil {
		return err
	}
	if source.IsValid() {
		if err := bind(fd, source); err != nil {
			return err
		}
	}
	err := unix.Connect(fd, sockaddr(to))
	if errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EINTR) {
		return nil
	}
	return err
}

// bind leaves the port to connect, which can then share it among conns to
// different origins: the 28,000 ephemeral ports of source are no limit to all.
func bind(fd int, source netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, sockaddr(netip.AddrPortFrom(source, 0)))
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func socket(family int) (int, error) {
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	s := &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	if zone := a.Addr().Zone(); zone != "" {
		if device, err := net.InterfaceByName(zone); err == nil {
			s.ZoneId = uint32(device.Index)
		}
	}
	return s
}

// failure fetches the error that waits on a socket, which clears it.
func failure(fd int32) error {
	number, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if number != 0 {
		return unix.Errno(number)
	}
	return nil
}

// abort closes with RST: what the peer got so far must not look complete.
func abort(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(fd)
}
