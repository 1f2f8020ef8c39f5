package load

import (
	"encoding/binary"
	"net/netip"
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
	name := inet4(dst)
	_, err := result(unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&name)), unix.SizeofSockaddrInet4))
	return err
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

// inet4 is the kernel's form of an IPv4 address and port.
func inet4(a netip.AddrPort) unix.RawSockaddrInet4 {
	name := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().As4()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], a.Port())
	return name
}

// addrPort undoes inet4.
func addrPort(name *unix.RawSockaddrInet4) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	return netip.AddrPortFrom(netip.AddrFrom4(name.Addr), port)
}
