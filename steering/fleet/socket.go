package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// fdSocket is the name of the socket among the descriptors for another process.
const fdSocket = "socket"

// listen opens the socket for messages, which takes only packets of the device. The next process gets it
// with the other descriptors: with SO_REUSEADDR instead any user of this host could take the port.
func listen(device string, local netip.Addr) (conn *net.UDPConn, err error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		control := raw.Control(func(fd uintptr) {
			err = unix.BindToDevice(int(fd), device) // without privileges since Linux 5.7
		})
		return errors.Join(control, os.NewSyscallError("setsockopt SO_BINDTODEVICE", err))
	}}
	c, err := config.ListenPacket(context.Background(), "udp", netip.AddrPortFrom(local, Port).String())
	if err != nil {
		return nil, fmt.Errorf("open the socket of the backplane: %w", err)
	}
	return c.(*net.UDPConn), nil
}

// inherit makes a socket of a descriptor.
func inherit(fd int) (*net.UDPConn, error) {
	file := os.NewFile(uintptr(fd), "backplane")
	defer file.Close()
	c, err := net.FilePacketConn(file)
	if err != nil {
		return nil, fmt.Errorf("inherit the socket of the backplane: %w", err)
	}
	udp, ok := c.(*net.UDPConn)
	if !ok {
		return nil, fmt.Errorf("inherit the socket of the backplane: it is a %T", c)
	}
	return udp, nil
}

// descriptorOf belongs to the socket; -1: there is none.
func descriptorOf(c *net.UDPConn) (fd int) {
	fd = -1
	if c == nil {
		return fd
	}
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(f uintptr) { fd = int(f) })
	}
	return fd
}

// isBoundTo reports whether a socket is the one that listen would open.
func isBoundTo(c *net.UDPConn, device string, local netip.Addr) bool {
	at, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok || at.AddrPort() != netip.AddrPortFrom(local, Port) {
		return false
	}
	bound, err := unix.GetsockoptString(descriptorOf(c), unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
	return err == nil && bound == device
}
