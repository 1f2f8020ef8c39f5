package datagram

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// ipOptions returns family, level and option for an address's version of IP.
func ipOptions(addr netip.Addr, option4, option6 int) (family, level, option int) {
	if addr.Is4() {
		return unix.AF_INET, unix.SOL_IP, option4
	}
	return unix.AF_INET6, unix.SOL_IPV6, option6
}

// sendBuffer holds what one batch may bring, in bytes.
const sendBuffer = 4 << 20

// GrowSendBuffer gives a socket whose send buffer is full a larger one, and reports whether it
// has. The usual size holds three long trains, which a device may take some time to send. Few
// sockets ever need more, so they do not begin with it.
func GrowSendBuffer(fd int) bool {
	before, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil || before >= sendBuffer {
		return false
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		// Without CAP_NET_ADMIN net.core.wmem_max limits it.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	after, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	return err == nil && after > before
}
