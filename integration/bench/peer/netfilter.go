package peer

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerPort is where the peers listen.
const peerPort = 9000

// address4 is where they are bound for what TPROXY brings over IPv4.
var address4 = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), peerPort)

// ipv4 reports whether the site has IPv4; else it has IPv6.
func (s Site) ipv4() bool { return s.Origin.Is4() }

// address is where the peer's listener is bound for what TPROXY brings.
func (s Site) address() netip.AddrPort {
	if s.ipv4() {
		return address4
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), peerPort)
}

// wildcard is the same for a peer that asks for the dst of a conn, and for what REDIRECT brings.
func (s Site) wildcard() netip.AddrPort {
	if s.ipv4() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), peerPort)
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), peerPort)
}

// originHost is the origin's address as it stands before a port.
func (s Site) originHost() string {
	if s.ipv4() {
		return s.Origin.String()
	}
	return "[" + s.Origin.String() + "]"
}

// tproxy brings all packets for the served prefix to the peer's listener, as
// Documentation/networking/tproxy.rst of the kernel has it.
func (d *Deployment) tproxy() error {
	const mark, table = 1, 100
	everywhere := netip.PrefixFrom(d.wildcard().Addr(), 0)
	if err := d.Edge.Rule(mark, table, everywhere); err != nil {
		return err
	}
	if err := d.Edge.Local(everywhere.String(), table); err != nil {
		return err
	}
	return d.iptables("mangle", "TPROXY", "--on-ip", d.address().Addr().String(), "--on-port", fmt.Sprint(peerPort), "--tproxy-mark", fmt.Sprint(mark))
}

// redirect has conntrack rewrite the dst, and the answers back.
func (d *Deployment) redirect() error {
	return d.iptables("nat", "REDIRECT", "--to-ports", fmt.Sprint(peerPort))
}

// dnat has conntrack send all to the origin: no proxy, no process.
func dnat(d *Deployment) error {
	return d.iptables("nat", "DNAT", "--to-destination", d.Origin.String())
}

// iptables adds a rule for all packets of the protocol to the served prefix. It ends with the edge's namespace.
func (d *Deployment) iptables(table, target string, options ...string) error {
	args := []string{"-t", table, "-A", "PREROUTING", "-p", d.Protocol, "-d", d.Served.String(), "-j", target}
	program := "iptables"
	if !d.ipv4() {
		program = "ip6tables"
	}
	return d.Edge.Run(program, append(args, options...)...)
}

// receiveBuffer is what every peer's UDP listener gets.
const receiveBuffer = 4 << 20

// listener opens a transparent socket on the edge where the peers listen.
func (d *Deployment) listener(local netip.AddrPort, reusePort bool) (file *os.File, err error) {
	err = d.Edge.Do(func() error {
		file, err = transparentListener(d.Protocol, local, reusePort)
		return err
	})
	return file, err
}

// transparentListener opens a socket in the namespace of the calling thread.
func transparentListener(protocol string, local netip.AddrPort, reusePort bool) (*os.File, error) {
	kind := unix.SOCK_STREAM
	if protocol == "udp" {
		kind = unix.SOCK_DGRAM
	}
	family, name := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(local.Port()), Addr: local.Addr().As16()})
	if local.Addr().Is4() {
		family, name = unix.AF_INET, &unix.SockaddrInet4{Port: int(local.Port()), Addr: local.Addr().As4()}
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "listener")
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1)
	unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1)
	unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 1)
	if reusePort {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err := unix.Bind(fd, name); err != nil {
		file.Close()
		return nil, os.NewSyscallError("bind", err)
	}
	if kind == unix.SOCK_STREAM {
		err = unix.Listen(fd, 4096)
	}
	return file, os.NewSyscallError("listen", err)
}

// raiseFiles lets this process, and those it starts, open as many files as may be.
func raiseFiles() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	limit.Cur = limit.Max
	return int(limit.Max), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
