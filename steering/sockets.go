package steering

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"anyport/bpf"
	"anyport/config"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// sockets are the file descriptors that the program can choose, by slot: the slots
// of a protocol have one for each worker, which the kernel balances over; the holes
// have one while any binding drops. They are bare descriptors because the garbage
// collector closes an os.File or net.Listener that nobody holds any more.
type sockets [bpf.SteerSlotSLOTS][]int

var (
	serving = []bpf.SteerSlot{bpf.SteerSlotTCP, bpf.SteerSlotUDP}
	holes   = []bpf.SteerSlot{bpf.SteerSlotTCP_HOLE, bpf.SteerSlotUDP_HOLE}
)

// open takes the sockets that are in in, and opens one for each worker of the
// protocols that none are there for.
func (s *sockets) open(cfg config.Listen, in Inheritance, log *slog.Logger) error {
	s.inherit(in)
	for _, slot := range serving {
		if n := len(s[slot]); n > 0 {
			if n != cfg.Workers {
				return fmt.Errorf("listen.workers is %d and there are %d %s sockets to go on with: a restart changes it", cfg.Workers, n, slotNames[slot])
			}
			continue
		}
		port := 0
		for range cfg.Workers {
			fd, err := listen(slot, cfg, port, log)
			if err != nil {
				return fmt.Errorf("open the %s socket: %w", slotNames[slot], err)
			}
			s[slot] = append(s[slot], fd)
			if port, err = localPort(fd); err != nil {
				return fmt.Errorf("port of the %s socket: %w", slotNames[slot], err)
			}
		}
	}
	return nil
}

func (s *sockets) inherit(in Inheritance) {
	for slot := range s {
		for fd, ok := in.take(socketName(slot, 0)); ok; fd, ok = in.take(socketName(slot, len(s[slot]))) {
			s[slot] = append(s[slot], fd)
		}
	}
}

// openHoles opens the sockets that swallow what is to be dropped, if need be.
func (s *sockets) openHoles() error {
	for _, slot := range holes {
		if len(s[slot]) > 0 {
			continue
		}
		fd, err := listen(slot, config.Listen{Workers: 1, TCPBacklog: 1}, 0, nil)
		if err != nil {
			return fmt.Errorf("open the %s socket: %w", slotNames[slot], err)
		}
		s[slot] = []int{fd}
	}
	return nil
}

// put lets the program choose the sockets of slots, if they are open. One member
// stands for a group of SO_REUSEPORT.
func (s *sockets) put(m *ebpf.Map, slots ...bpf.SteerSlot) error {
	for _, slot := range slots {
		if len(s[slot]) == 0 {
			continue
		}
		if err := m.Put(slot, uint64(s[slot][0])); err != nil {
			return fmt.Errorf("put the %s socket into its slot: %w", slotNames[slot], err)
		}
	}
	return nil
}

// close closes the sockets of the slots, which empties them.
func (s *sockets) close(slots ...bpf.SteerSlot) error {
	var errs []error
	for _, slot := range slots {
		for _, fd := range s[slot] {
			errs = append(errs, unix.Close(fd))
		}
		s[slot] = nil
	}
	return errors.Join(errs...)
}

var slotNames = [...]string{
	bpf.SteerSlotTCP: "tcp", bpf.SteerSlotUDP: "udp",
	bpf.SteerSlotTCP_HOLE: "dropping tcp", bpf.SteerSlotUDP_HOLE: "dropping udp",
}

// listen returns a socket for slot, bound and, of TCP, listening. A port of 0 is any.
func listen(slot bpf.SteerSlot, cfg config.Listen, port int, log *slog.Logger) (int, error) {
	fd, local, err := newSocket(slot, port)
	if err != nil {
		return -1, err
	}
	if err := prepare(fd, slot, cfg, log); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if err := unix.Bind(fd, local); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	if stream(slot) {
		if err := unix.Listen(fd, cfg.TCPBacklog); err != nil {
			unix.Close(fd)
			return -1, os.NewSyscallError("listen", err)
		}
	}
	return fd, nil
}

func stream(slot bpf.SteerSlot) bool {
	return slot == bpf.SteerSlotTCP || slot == bpf.SteerSlotTCP_HOLE
}

// newSocket returns an unbound socket and the address to bind it to. Bound to
// ::ffff:127.0.0.1 an IPv6 socket takes both families, and nobody but this host
// reaches its own port; where IPv6 is off, an IPv4 one takes all there is.
// The protocol is named, never MPTCP, which a SOCKMAP does not hold.
func newSocket(slot bpf.SteerSlot, port int) (fd int, local unix.Sockaddr, err error) {
	kind, protocol := unix.SOCK_DGRAM, unix.IPPROTO_UDP
	if stream(slot) {
		kind, protocol = unix.SOCK_STREAM, unix.IPPROTO_TCP
	}
	kind |= unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	fd, err = unix.Socket(unix.AF_INET6, kind, protocol)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		fd, err = unix.Socket(unix.AF_INET, kind, protocol)
		return fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}, os.NewSyscallError("socket", err)
	}
	mapped := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	return fd, &unix.SockaddrInet6{Port: port, Addr: mapped}, os.NewSyscallError("socket", err)
}

// localPort returns the port that fd is bound to.
func localPort(fd int) (int, error) {
	local, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	switch a := local.(type) {
	case *unix.SockaddrInet6:
		return a.Port, nil
	case *unix.SockaddrInet4:
		return a.Port, nil
	}
	return 0, unix.EAFNOSUPPORT
}
