package call

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"anyport/bpf/mark"
)

// BindAsClient binds fd, which is to dial an origin, to the address and port of a client, an address
// that this host does not have. The socket's mark is what brings the answers here: see package
// bpf/mark. Both options need CAP_NET_ADMIN (the mark alone did before Linux 5.17), a port below
// 1024 CAP_NET_BIND_SERVICE. Two sockets may have one address and port, if both have set SO_REUSEADDR.
func BindAsClient(fd int, client netip.AddrPort) error {
	level, transparent := unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	if client.Addr().Is4() {
		level, transparent = unix.SOL_IP, unix.IP_TRANSPARENT
	}
	if err := SetsockoptInt(fd, level, transparent, 1); err != nil {
		return os.NewSyscallError("setsockopt IP_TRANSPARENT", err)
	}
	if err := SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark.Socket); err != nil {
		return os.NewSyscallError("setsockopt SO_MARK", err)
	}
	if err := SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	name := SockaddrOf(client)
	err := Bind(fd, name.Bytes())
	if err == unix.EADDRINUSE {
		return ErrClientPort
	}
	return os.NewSyscallError("bind to the client's address", err)
}
