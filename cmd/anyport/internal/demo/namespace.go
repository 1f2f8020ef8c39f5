package demo

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// insideVariable tells the process that it has begun again in a namespace.
const insideVariable = "ANYPORT_DEMO_INSIDE"

// inside reports whether enter has begun this process again.
func inside() bool { return os.Getenv(insideVariable) != "" }

// enter begins this process again in a new network namespace. A namespace is a
// thread's own, and execve(2) makes the calling thread the whole process.
func enter() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("the demo needs root, for a network namespace and a BPF program; type: sudo %s", strings.Join(os.Args, " "))
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w: root needs CAP_SYS_ADMIN for it; in a container, run it with --privileged", err)
	}
	return unix.Exec(self, os.Args, append(os.Environ(), insideVariable+"=1"))
}

// setUp gives loopback the addresses of the clients. It refuses a namespace with an interface that is up:
// somebody uses that one.
func setUp(clients []netip.Prefix) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	var loopback netlink.Link
	for _, link := range links {
		switch {
		case link.Attrs().Flags&net.FlagUp != 0:
			return errors.New("this network namespace is in use: unset " + insideVariable)
		case link.Attrs().Flags&net.FlagLoopback != 0:
			loopback = link
		}
	}
	if loopback == nil {
		return errors.New("no loopback interface is here")
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return err
	}
	for _, client := range clients {
		addr, err := netlink.ParseAddr(client.String())
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(loopback, addr); err != nil {
			return fmt.Errorf("add %s: %w", client, err)
		}
	}
	return widen()
}

// widen gives the sweep what the kernel has for few conns at a time, or on a small machine.
//
//   - Ports: all conns of the sweep go to one address of the origin, and the kernel's usual 28,000
//     local ports are not free again as fast as the sweep needs them (TIME_WAIT).
//   - TIME_WAIT sockets, of which each exchange leaves two. With 2 GB of memory the kernel
//     keeps 8,192. Beyond that it forgets a socket that has closed while its peer has not,
//     answers the peer's next segment with RST, and the proxy passes that on.
func widen() error {
	for name, value := range map[string]string{"ip_local_port_range": "10000 65535", "tcp_max_tw_buckets": "1048576"} {
		err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0)
		if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) {
			return nil // in a container, where a slower sweep does without
		}
		if err != nil {
			return err
		}
	}
	return nil
}
