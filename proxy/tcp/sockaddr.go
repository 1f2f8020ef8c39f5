package tcp

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sockaddr is a sockaddr_in or sockaddr_in6 as the kernel reads and writes it.
// It costs no allocation, which unix.Sockaddr does.
type sockaddr [unix.SizeofSockaddrInet6]byte

func sockaddrOf(a netip.AddrPort) (s sockaddr) {
	binary.NativeEndian.PutUint16(s[:], uint16(family(a.Addr())))
	binary.BigEndian.PutUint16(s[2:], a.Port())
	if a.Addr().Is4() {
		address := a.Addr().As4()
		copy(s[4:], address[:])
		return s
	}
	address := a.Addr().As16()
	copy(s[8:], address[:])
	if zone := a.Addr().Zone(); zone != "" {
		if device, err := net.InterfaceByName(zone); err == nil {
			binary.NativeEndian.PutUint32(s[24:], uint32(device.Index))
		}
	}
	return s
}

func (s *sockaddr) family() uint16 { return binary.NativeEndian.Uint16(s[:]) }

func (s *sockaddr) slice() []byte {
	if s.family() == unix.AF_INET {
		return s[:unix.SizeofSockaddrInet4]
	}
	return s[:]
}

// addrPort is the boundary at which ::ffff:a.b.c.d becomes a.b.c.d and zones end.
func (s *sockaddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s[2:])
	switch s.family() {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(s[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}
