package datagram

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// Endpoint is an address and port as the kernel writes them, IPv4 as ::ffff:a.b.c.d. It is
// comparable, and holds no pointer, so that the garbage collector never scans a map with such keys.
type Endpoint struct {
	Addr [16]byte
	Port uint16
	Zone uint32 // the interface index of a link-local address, or 0
}

// EndpointOf converts an address without a zone.
func EndpointOf(a netip.AddrPort) Endpoint {
	return Endpoint{Addr: a.Addr().As16(), Port: a.Port()}
}

// AddrPort unmaps IPv4 and drops the zone: the rest of the program sees no IPv4-mapped address.
func (e Endpoint) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.Addr).Unmap(), e.Port)
}

// WithoutPort is the peer as a raw socket wants it: the port is in the UDP header, and IPv6 reads
// a port in the address as a protocol number (raw(7), ipv6(7)).
func (e Endpoint) WithoutPort() Endpoint {
	e.Port = 0
	return e
}

// sockaddr is a struct sockaddr_in or sockaddr_in6, and its length.
type sockaddr struct {
	bytes  [unix.SizeofSockaddrInet6]byte
	length uint32
}

func (s *sockaddr) slice() []byte { return s.bytes[:s.length] }

// sockaddr is for a socket of e's own family: it is never an IPv4-mapped address.
func (e Endpoint) sockaddr() (s sockaddr) {
	binary.BigEndian.PutUint16(s.bytes[2:], e.Port)
	if addr := netip.AddrFrom16(e.Addr); addr.Is4In6() {
		binary.NativeEndian.PutUint16(s.bytes[:], unix.AF_INET)
		copy(s.bytes[4:], e.Addr[12:])
		s.length = unix.SizeofSockaddrInet4
		return s
	}
	binary.NativeEndian.PutUint16(s.bytes[:], unix.AF_INET6)
	copy(s.bytes[8:], e.Addr[:])
	binary.NativeEndian.PutUint32(s.bytes[24:], e.Zone)
	s.length = unix.SizeofSockaddrInet6
	return s
}

// parseSockaddr reads a struct sockaddr_in or sockaddr_in6. It is not ok for another family, and
// where bytes are missing.
func parseSockaddr(b []byte) (e Endpoint, ok bool) {
	if len(b) < unix.SizeofSockaddrInet4 {
		return e, false
	}
	e.Port = binary.BigEndian.Uint16(b[2:])
	switch family := binary.NativeEndian.Uint16(b); {
	case family == unix.AF_INET:
		e.Addr = netip.AddrFrom4([4]byte(b[4:8])).As16()
	case family == unix.AF_INET6 && len(b) >= unix.SizeofSockaddrInet6:
		e.Addr = [16]byte(b[8:24])
		e.Zone = binary.NativeEndian.Uint32(b[24:])
	default:
		return e, false
	}
	return e, true
}

// LocalEndpoint returns the address that fd is bound to.
func LocalEndpoint(fd int) (Endpoint, error) {
	var name sockaddr
	size, err := call.Getsockname(fd, name.bytes[:])
	local, ok := parseSockaddr(name.bytes[:size])
	if err != nil || !ok {
		return local, fmt.Errorf("reading the local address of a socket: %w", err)
	}
	return local, nil
}

// ipOptions returns family, level and option for an address's version of IP.
func ipOptions(addr netip.Addr, option4, option6 int) (family, level, option int) {
	if addr.Is4() {
		return unix.AF_INET, unix.SOL_IP, option4
	}
	return unix.AF_INET6, unix.SOL_IPV6, option6
}
