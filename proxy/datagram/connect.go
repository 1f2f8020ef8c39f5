package datagram

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

func bindSource(fd int, source netip.Addr) error {
	name := call.EndpointOf(netip.AddrPortFrom(source, 0)).Sockaddr()
	switch err := call.Bind(fd, name.Bytes()); err {
	case nil:
		return nil
	case unix.EADDRINUSE:
		return fmt.Errorf("binding to the source address %v: %w", source, call.ErrNoPort)
	default:
		return fmt.Errorf("binding to the source address %v: %w", source, err)
	}
}

// connect connects fd from a source, or from the kernel's choice for the zero Addr, and refuses a socket
// that is its own peer.
func connect(fd int, to netip.AddrPort, source netip.Addr) error {
	if err := connectAnyway(fd, to, source); err != nil {
		return err
	}
	if connectedToItself(fd, to) {
		return call.ErrItself
	}
	return nil
}

// connectAnyway is connect for a socket that cannot be its own peer.
func connectAnyway(fd int, to netip.AddrPort, source netip.Addr) error {
	if source.IsValid() {
		if err := bindSource(fd, source); err != nil {
			return err
		}
	}
	name := call.EndpointOf(to).Sockaddr()
	switch err := call.Connect(fd, name.Bytes()); err {
	case nil:
		return nil
	case unix.EAGAIN:
		return call.ErrNoPort
	default:
		return fmt.Errorf("connecting: %w", err)
	}
}

// connectedToItself reports whether fd is its own peer: where an origin on this host is down, the
// kernel may give its port, if it is of the ephemeral range, to fd.
func connectedToItself(fd int, to netip.AddrPort) bool {
	local, err := call.LocalAddr(fd)
	return err == nil && local == to
}
