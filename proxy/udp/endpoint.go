package udp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// endpoint is an address and port as the kernel writes them, IPv4 as
// ::ffff:a.b.c.d. It holds no pointer, so that the garbage collector never
// walks the table of flows.
type endpoint struct {
	addr [16]byte
	port uint16
	zone uint32 // the interface of a link-local address, or 0
}

// key is what makes two datagrams one flow.
type key struct{ client, dst endpoint }

func endpointOf(a netip.AddrPort) endpoint {
	return endpoint{addr: a.Addr().As16(), port: a.Port()}
}

// addrPort is the boundary: beyond it no address is IPv4-mapped or has a zone.
func (e endpoint) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.addr).Unmap(), e.port)
}

// sockaddr is a struct sockaddr_in or sockaddr_in6, and its length.
type sockaddr struct {
	bytes  [unix.SizeofSockaddrInet6]byte
	length uint32
}

func (s *sockaddr) slice() []byte { return s.bytes[:s.length] }

// sockaddr is what a socket of e's own family is told: never a mapped address.
func (e endpoint) sockaddr() (s sockaddr) {
	binary.BigEndian.PutUint16(s.bytes[2:], e.port)
	if addr := netip.AddrFrom16(e.addr); addr.Is4In6() {
		binary.NativeEndian.PutUint16(s.bytes[:], unix.AF_INET)
		copy(s.bytes[4:], e.addr[12:])
		s.length = unix.SizeofSockaddrInet4
		return s
	}
	binary.NativeEndian.PutUint16(s.bytes[:], unix.AF_INET6)
	copy(s.bytes[8:], e.addr[:])
	binary.NativeEndian.PutUint32(s.bytes[24:], e.zone)
	s.length = unix.SizeofSockaddrInet6
	return s
}

// parseSockaddr reads a struct sockaddr_in or sockaddr_in6.
func parseSockaddr(b []byte) (e endpoint, ok bool) {
	if len(b) < unix.SizeofSockaddrInet4 {
		return e, false
	}
	e.port = binary.BigEndian.Uint16(b[2:])
	switch family := binary.NativeEndian.Uint16(b); {
	case family == unix.AF_INET:
		e.addr = netip.AddrFrom4([4]byte(b[4:8])).As16()
	case family == unix.AF_INET6 && len(b) >= unix.SizeofSockaddrInet6:
		e.addr = [16]byte(b[8:24])
		e.zone = binary.NativeEndian.Uint32(b[24:])
	default:
		return e, false
	}
	return e, true
}
