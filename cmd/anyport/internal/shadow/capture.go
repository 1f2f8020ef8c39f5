package shadow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"anyport/bpf/socketfilter"
)

// The bounds of what is read: about a tenth of a core. What comes faster stays in the queue, and what the
// queue does not hold is counted.
const (
	queueBytes   = 8 << 20
	readsPerTurn = 5000
	turn         = 100 * time.Millisecond
)

// capture is the packet socket. It belongs to the goroutine that reads it, except for lost.
type capture struct {
	file   *os.File
	raw    rawConn
	lo     int
	buffer [snapLength]byte // the packet that was read last
}

// rawConn is the part of syscall.RawConn that is used.
type rawConn interface {
	Control(func(uintptr)) error
	Read(func(uintptr) bool) error
}

// openCapture opens a packet socket on all devices of this thread's network namespace. That takes CAP_NET_RAW.
func openCapture(udp bool) (*capture, error) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, fmt.Errorf("find the interface lo: %w", err)
	}
	// Protocol 0 receives nothing yet: the filter comes first.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w: that takes CAP_NET_RAW: run as root", err)
	}
	file := os.NewFile(uintptr(fd), "packet socket")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	c := &capture{file: file, raw: raw, lo: lo.Index}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queueBytes) // the kernel caps it
	if err := c.want(udp); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)) // outgoing ones too
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind the packet socket: %w", err), file.Close())
	}
	return c, nil
}

// want chooses what the kernel copies to the socket.
func (c *capture) want(udp bool) error {
	assembled, err := bpf.Assemble(filter(udp))
	if err != nil {
		return fmt.Errorf("assemble the packet filter: %w", err)
	}
	program := make([]unix.SockFilter, len(assembled))
	for i, in := range assembled {
		program[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	controlErr := c.raw.Control(func(fd uintptr) { err = socketfilter.Attach(int(fd), program) })
	return errors.Join(controlErr, err)
}

// next waits for a packet that another host or this one has sent. It returns an error when close was called.
func (c *capture) next() (packet, way, error) {
	for {
		var n int
		var from unix.Sockaddr
		var err error
		readErr := c.raw.Read(func(fd uintptr) bool {
			n, from, err = unix.Recvfrom(int(fd), c.buffer[:], unix.MSG_DONTWAIT)
			return !errors.Is(err, unix.EAGAIN)
		})
		if readErr != nil {
			return packet{}, incoming, readErr
		}
		link, isLink := from.(*unix.SockaddrLinklayer)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN): // a device was removed
			continue
		case err != nil:
			return packet{}, incoming, os.NewSyscallError("recvfrom", err)
		case !isLink || link.Pkttype == unix.PACKET_OTHERHOST: // a promiscuous device
			continue
		}
		return parse(c.buffer[:n]), c.wayOf(link), nil
	}
}

func (c *capture) wayOf(link *unix.SockaddrLinklayer) way {
	switch {
	case link.Ifindex == c.lo:
		return loopback
	case link.Pkttype == unix.PACKET_OUTGOING:
		return outgoing
	}
	return incoming
}

// lost returns how many packets did not fit into the queue since it was last asked.
func (c *capture) lost() (n uint64) {
	_ = c.raw.Control(func(fd uintptr) { // fails if the socket is closed
		if stats, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			n = uint64(stats.Drops)
		}
	})
	return n
}

// close ends next. It may be called again.
func (c *capture) close() error {
	if err := c.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
