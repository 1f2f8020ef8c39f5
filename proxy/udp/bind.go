package udp

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// opener opens the sockets of one loop that answer clients.
type opener struct{ raw *Raw }

// open returns what sends from dst.
//
// A socket bound to dst never takes datagrams from the listener, because SK_LOOKUP
// runs before the lookup of bound sockets. Where another process's wildcard socket
// holds the port for itself, or the port needs a capability that is not there, a
// raw socket answers: from dst all the same, never from another port.
func (o opener) open(dst netip.AddrPort) (answerer, error) {
	fd, err := bindReply(dst)
	if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EACCES) {
		return answerer{fd: fd}, err
	}
	raw := o.raw.of(dst.Addr())
	if raw.err != nil {
		return answerer{}, fmt.Errorf("%w; and to answer through a raw socket needs CAP_NET_RAW: %w", err, raw.err)
	}
	return answerer{fd: raw.fd, control: packetInfo(dst.Addr())}, nil
}

// bindReply opens an unconnected socket that sends from dst. With IP_FREEBIND
// (IPV6_FREEBIND since Linux 4.15) an address that is routed here need not be
// set on an interface.
func bindReply(dst netip.AddrPort) (int, error) {
	family, level, freebind := ipOptions(dst.Addr(), unix.IP_FREEBIND, unix.IPV6_FREEBIND)
	fd, err := call.Socket(family, unix.SOCK_DGRAM, 0)
	if err != nil {
		return -1, fmt.Errorf("opening a socket to answer from %v: %w", dst, err)
	}
	name := endpointOf(dst).sockaddr()
	err = errors.Join(
		call.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		call.SetsockoptInt(fd, level, freebind, 1),
		call.Bind(fd, name.slice()),
	)
	if err != nil {
		call.Close(fd)
		return -1, fmt.Errorf("binding a socket to answer from %v: %w", dst, err)
	}
	return fd, nil
}

// ipOptions returns family, level and option for an address's version of IP.
func ipOptions(addr netip.Addr, option4, option6 int) (family, level, option int) {
	if addr.Is4() {
		return unix.AF_INET, unix.SOL_IP, option4
	}
	return unix.AF_INET6, unix.SOL_IPV6, option6
}
