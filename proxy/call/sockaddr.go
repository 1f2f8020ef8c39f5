package call

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Endpoint is an address and port in a form of fixed size, IPv4 as ::ffff:a.b.c.d. It is
// comparable and holds no pointer, so that the garbage collector never scans a table that
// has it as a key.
type Endpoint struct {
	Addr [16]byte
	Port uint16
	Zone uint32 // the index of a link-local address's interface, or 0
}

// EndpointOf drops a's zone, which is a name.
func EndpointOf(a netip.AddrPort) Endpoint {
	return Endpoint{Addr: a.Addr().As16(), Port: a.Port()}
}

// AddrPort is the boundary behind which no address is IPv4-mapped or has a zone.
func (e Endpoint) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.Addr).Unmap(), e.Port)
}

// Sockaddr returns e as a socket of e's own family needs it: AF_INET for a mapped address.
func (e Endpoint) Sockaddr() (s Sockaddr) {
	binary.BigEndian.PutUint16(s.bytes[2:], e.Port)
	if netip.AddrFrom16(e.Addr).Is4In6() {
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

// Sockaddr is a struct sockaddr_in or sockaddr_in6 as the kernel reads and writes it. It
// costs no allocation, which unix.Sockaddr does.
type Sockaddr struct {
	bytes  [unix.SizeofSockaddrInet6]byte
	length uint32 // a socklen_t: the kernel writes it too
}

// SockaddrOf returns a with its zone, whose interface it looks up by name.
func SockaddrOf(a netip.AddrPort) Sockaddr {
	e := EndpointOf(a)
	if zone := a.Addr().Zone(); zone != "" {
		if device, err := net.InterfaceByName(zone); err == nil {
			e.Zone = uint32(device.Index)
		}
	}
	return e.Sockaddr()
}

// Bytes is what a system call takes as its struct sockaddr.
func (s *Sockaddr) Bytes() []byte { return s.bytes[:min(s.length, uint32(len(s.bytes)))] }

// AddrPort is the address that s names; not valid where s is of another family.
func (s *Sockaddr) AddrPort() netip.AddrPort {
	e, ok := ParseSockaddr(s.Bytes())
	if !ok {
		return netip.AddrPort{}
	}
	return e.AddrPort()
}

// ParseSockaddr reads a struct sockaddr_in or sockaddr_in6, as recvmsg(2) or a control
// message has it. It is not ok for another family and for less than the whole struct.
func ParseSockaddr(b []byte) (e Endpoint, ok bool) {
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
		return Endpoint{}, false
	}
	return e, true
}

// Family is the address family that a's Sockaddr has.
func Family(a netip.Addr) int {
	if a.Is4() || a.Is4In6() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Accept takes one conn from a listener's queue, with a non-blocking socket.
func Accept(listener int) (fd int, peer netip.AddrPort, err error) {
	name := Sockaddr{length: unix.SizeofSockaddrInet6}
	const flags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	fd, err = Result(unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener),
		uintptr(unsafe.Pointer(&name.bytes)), uintptr(unsafe.Pointer(&name.length)), flags, 0, 0))
	return fd, name.AddrPort(), err
}

// LocalAddr is what fd is bound to.
func LocalAddr(fd int) (netip.AddrPort, error) {
	name := Sockaddr{length: unix.SizeofSockaddrInet6}
	_, err := Result(unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd),
		uintptr(unsafe.Pointer(&name.bytes)), uintptr(unsafe.Pointer(&name.length))))
	return name.AddrPort(), err
}
