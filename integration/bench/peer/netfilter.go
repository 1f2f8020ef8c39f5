package peer

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where the peers' listeners are bound.
const (
	peerPort        = "9000"
	peerAddress     = "127.0.0.1:" + peerPort
	wildcardAddress = "0.0.0.0:" + peerPort
)

// tproxy brings all packets for the served prefix to the peer's listener, as
// Documentation/networking/tproxy.rst of the kernel has it.
func (d *Deployment) tproxy() error {
	const mark, table = 1, 100
	if err := d.Edge.Rule(mark, table); err != nil {
		return err
	}
	if err := d.Edge.Local("0.0.0.0/0", table); err != nil {
		return err
	}
	return d.iptables("mangle", "TPROXY", "--on-ip", "127.0.0.1", "--on-port", peerPort, "--tproxy-mark", fmt.Sprint(mark))
}

// redirect has conntrack rewrite the dst, and the answers back.
func (d *Deployment) redirect() error {
	return d.iptables("nat", "REDIRECT", "--to-ports", peerPort)
}

// dnat has conntrack send all to the origin: no proxy, no process.
func dnat(d *Deployment) error {
	return d.iptables("nat", "DNAT", "--to-destination", d.Origin.String())
}

// iptables adds a rule for all packets of the protocol to the served prefix. It ends with the edge's namespace.
func (d *Deployment) iptables(table, target string, options ...string) error {
	args := []string{"-t", table, "-A", "PREROUTING", "-p", d.Protocol, "-d", d.Served.String(), "-j", target}
	return d.Edge.Run("iptables", append(args, options...)...)
}

// receiveBuffer is what every peer's UDP listener gets.
const receiveBuffer = 4 << 20

// listener opens a transparent socket on the edge where the peers listen.
func (d *Deployment) listener(wildcard, reusePort bool) (file *os.File, err error) {
	err = d.Edge.Do(func() error {
		file, err = transparentListener(d.Protocol, wildcard, reusePort)
		return err
	})
	return file, err
}

// transparentListener opens a socket in the namespace of the calling thread. A
// wildcard one takes what REDIRECT brings.
func transparentListener(protocol string, wildcard, reusePort bool) (*os.File, error) {
	kind := unix.SOCK_STREAM
	if protocol == "udp" {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "listener")
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1)
	if reusePort {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	address := net.IPv4(127, 0, 0, 1)
	if wildcard {
		address = net.IPv4zero
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 9000, Addr: [4]byte(address.To4())}); err != nil {
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
