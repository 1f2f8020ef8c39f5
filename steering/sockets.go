package steering

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
)

// sockets are the file descriptors that the program can choose, by slot. The slots tcp and udp
// have one socket for each worker, among which the kernel balances. The slots tcp-hole and
// udp-hole have one each, with a filter that drops everything: it stands for the verdict drop.
// It is bound when a table first drops something, and listens on nothing before.
//
// They are bare descriptors because the garbage collector closes an os.File or net.Listener
// that nobody refers to.
type sockets [bpf.SteerSlotSLOTS][]int

var (
	servingSlots = []bpf.SteerSlot{bpf.SteerSlotTCP, bpf.SteerSlotUDP}
	dropSlots    = []bpf.SteerSlot{bpf.SteerSlotTCP_HOLE, bpf.SteerSlotUDP_HOLE}
)

// open takes the sockets that are in in, and opens one for each worker of the
// protocols that none are there for, and the holes, while the capabilities are there.
func (s *sockets) open(cfg config.Listen, in Inheritance, log *slog.Logger) error {
	s.inherit(in)
	for _, slot := range servingSlots {
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
	return s.openDropSockets(log)
}

// inherit takes sockets in the order of their workers: a client stays with its worker.
func (s *sockets) inherit(in Inheritance) {
	for slot := range s {
		for fd, ok := in.take(socketName(slot, 0)); ok; fd, ok = in.take(socketName(slot, len(s[slot]))) {
			s[slot] = append(s[slot], fd)
		}
	}
}

// openDropSockets opens the sockets that swallow what is to be dropped, if need be, unbound.
func (s *sockets) openDropSockets(log *slog.Logger) error {
	for _, slot := range dropSlots {
		if len(s[slot]) > 0 {
			continue
		}
		fd, err := newSocket(slot, config.Listen{Workers: 1}, log)
		if err != nil {
			return fmt.Errorf("open the %s socket: %w", slotNames[slot], err)
		}
		s[slot] = []int{fd}
	}
	return nil
}

// bindDropSockets binds the sockets that drop, so that the program can choose them. They stay
// bound: a reload does not have the capabilities to open others.
func (s *sockets) bindDropSockets() error {
	for _, slot := range dropSlots {
		if bound(s[slot][0]) {
			continue
		}
		if err := bind(s[slot][0], slot, 0, 1); err != nil {
			return fmt.Errorf("bind the %s socket: %w", slotNames[slot], err)
		}
	}
	return nil
}

// putIntoMap lets the program choose the sockets of slots, if they are open.
func (s *sockets) putIntoMap(m *bpf.SteerMaps, slots ...bpf.SteerSlot) error {
	for _, slot := range slots {
		for place, fd := range s.mapEntries(slot) {
			if err := m.Sockets.Put(place, uint64(fd)); err != nil {
				return fmt.Errorf("put the %s socket into its slot: %w", slotNames[slot], err)
			}
		}
	}
	if err := m.Workers.Put(uint32(0), uint32(len(s[bpf.SteerSlotUDP]))); err != nil {
		return fmt.Errorf("set the number of workers: %w", err)
	}
	return nil
}

// mapEntries yields the sockets of slot that belong into the map, and where. Of UDP each
// has its place, for the program chooses; otherwise one stands for all, among which
// the kernel chooses by SO_REUSEPORT.
func (s *sockets) mapEntries(slot bpf.SteerSlot) iter.Seq2[bpf.SteerSlot, int] {
	return func(yield func(bpf.SteerSlot, int) bool) {
		for i, fd := range s[slot] {
			if i > 0 && slot != bpf.SteerSlotUDP || !bound(fd) || !yield(slot+bpf.SteerSlot(i), fd) {
				return
			}
		}
	}
}

// closeSlots closes the sockets of the slots, which empties them.
func (s *sockets) closeSlots(slots ...bpf.SteerSlot) error {
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
	fd, err := newSocket(slot, cfg, log)
	if err != nil {
		return -1, err
	}
	if err := bind(fd, slot, port, cfg.TCPBacklog); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bind has fd listen, if it is of TCP. Bound to ::ffff:127.0.0.1 an IPv6 socket takes
// both families, and nobody but this host reaches its own port; where IPv6 is off, an
// IPv4 one takes all there is.
func bind(fd int, slot bpf.SteerSlot, port, backlog int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt SO_DOMAIN", err)
	}
	var local unix.Sockaddr = &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	if domain == unix.AF_INET6 {
		local = &unix.SockaddrInet6{Port: port, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}
	}
	if err := unix.Bind(fd, local); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if !stream(slot) {
		return nil
	}
	return os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

func stream(slot bpf.SteerSlot) bool {
	return slot == bpf.SteerSlotTCP || slot == bpf.SteerSlotTCP_HOLE || slot == bpf.SteerSlotTCP_SHARE
}

// newSocket returns an unbound socket with the options of its slot. The protocol is
// named, never MPTCP, which a SOCKMAP does not hold.
func newSocket(slot bpf.SteerSlot, cfg config.Listen, log *slog.Logger) (fd int, err error) {
	kind, protocol := unix.SOCK_DGRAM, unix.IPPROTO_UDP
	if stream(slot) {
		kind, protocol = unix.SOCK_STREAM, unix.IPPROTO_TCP
	}
	kind |= unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	if fd, err = unix.Socket(unix.AF_INET6, kind, protocol); errors.Is(err, unix.EAFNOSUPPORT) {
		fd, err = unix.Socket(unix.AF_INET, kind, protocol)
	}
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := prepare(fd, slot, cfg, log); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bound reports whether fd has a port, which means that the program can choose it.
func bound(fd int) bool {
	port, err := localPort(fd)
	return err == nil && port != 0
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
