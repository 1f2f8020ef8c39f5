package load

import (
	"encoding/binary"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These calls never wait, since the sockets do not block, and they bypass Go's scheduler.
// Otherwise its monitor would take processors away from calls that carry a packet all the
// way to its receiver, and then check every 20 µs, on cores that the peer needs.

// receive reads what is there into b.
func receive(fd int, b []byte) (int, error) {
	return result(unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))))
}

// transmit writes what there is room for of b.
func transmit(fd int, b []byte) (int, error) {
	return result(unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))))
}

// accept returns a conn that waits, with TCP_NODELAY.
func accept(listener int) (int, error) {
	fd, err := result(unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0))
	if err != nil {
		return -1, err
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return fd, nil
}

// connectTo begins to connect fd.
func connectTo(fd int, dst netip.AddrPort) error {
	name, length := sockaddrOf(dst)
	_, err := result(unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&name)), uintptr(length)))
	return err
}

// bindTo binds fd.
func bindTo(fd int, local netip.AddrPort) error {
	name, length := sockaddrOf(local)
	_, err := result(unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&name)), uintptr(length)))
	return os.NewSyscallError("bind", err)
}

// hangUp closes fd.
func hangUp(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// result makes the three values of a raw system call into two.
func result(n, _ uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// sockaddr is the kernel's form of an address and port: struct sockaddr_in or sockaddr_in6.
type sockaddr [unix.SizeofSockaddrInet6]byte

// Where its fields begin; those of the address depend on the family.
const (
	portAt     = 2
	address4At = 4
	address6At = 8
)

// sockaddrOf also returns how much of it the kernel takes.
func sockaddrOf(a netip.AddrPort) (name sockaddr, length uint32) {
	family := familyOf(a.Addr())
	binary.NativeEndian.PutUint16(name[:], uint16(family))
	binary.BigEndian.PutUint16(name[portAt:], a.Port())
	if family == unix.AF_INET {
		*(*[4]byte)(name[address4At:]) = a.Addr().As4()
		return name, unix.SizeofSockaddrInet4
	}
	*(*[16]byte)(name[address6At:]) = a.Addr().As16()
	return name, unix.SizeofSockaddrInet6
}

// addrPort undoes sockaddrOf.
func (name *sockaddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(name[portAt:])
	if binary.NativeEndian.Uint16(name[:]) == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(name[address4At:])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(name[address6At:])), port)
}

// familyOf is the address family of sockets for an address.
func familyOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
