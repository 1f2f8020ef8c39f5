package steering

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
)

// withdraw takes the sockets of slots from the program in favour of whoever else has the traffic by a TPROXY rule,
// before the caller empties the slots or ends the steering. It returns what the caller closes afterwards.
//
// A socket match of the packet filter (`-m socket`, `socket transparent`) that precedes the TPROXY rule looks for the
// socket of a packet, and TCP or UDP looks again some microseconds later. Both lookups run the program. If the slot
// became empty between the two, the match would keep the packet from the TPROXY rule, and then it would be refused. So
// for a moment the slots have a stand-in. A socket match does not match it, so from now on the TPROXY rule has the new
// conns. What a match has let through before gets no answer, and the client repeats its SYN after a second.
//
// The kernel does both lookups of a packet within one RCU section (ip_rcv up to tcp_v4_rcv, and those of IPv6 and UDP).
// So after the grace period no packet is between them. Only a queue to user space (NFQUEUE) can keep one there.
func (s *Steering) withdraw(slots ...bpf.SteerSlot) (standIns []int) {
	for _, slot := range slots {
		fd, err := openStandIn(slot)
		if err == nil {
			standIns = append(standIns, fd)
			err = s.replaceSockets(slot, fd)
		}
		if err != nil { // what else the stop does matters more
			s.log.Warn("cannot withdraw a socket: a packet filter that asks for it may have a new conn refused", "socket", slotNames[slot], "error", err)
		}
	}
	if err := s.loaded.GracePeriod.Wait(); err != nil {
		s.log.Warn("cannot wait for a grace period", "error", err)
	}
	return standIns
}

// replaceSockets puts fd into all places of slot that are not empty.
func (s *Steering) replaceSockets(slot bpf.SteerSlot, fd int) error {
	for place := range s.sockets.mapEntries(slot) {
		err := s.objects.Sockets.Update(place, uint64(fd), ebpf.UpdateExist)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("put a stand-in into the %s slot: %w", slotNames[slot], err)
		}
	}
	return nil
}

// openStandIn returns a socket that drops everything and that no socket match matches: it is not transparent, and
// matches that do not ask for this pass over sockets that are bound to no address (xt_socket without --nowildcard).
// Bound to the loopback device, it gets nothing from outside except by the program. This needs no capability (since
// Linux 5.7).
func openStandIn(slot bpf.SteerSlot) (fd int, err error) {
	dropping := bpf.SteerSlotTCP_HOLE
	if !stream(slot) {
		dropping = bpf.SteerSlotUDP_HOLE
	}
	if fd, err = newSocket(dropping, config.Listen{Workers: 1}, nil); err != nil {
		return -1, err
	}
	if err := bindStandIn(fd, stream(slot)); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func bindStandIn(fd int, listens bool) error {
	if err := unix.BindToDevice(fd, "lo"); err != nil {
		return os.NewSyscallError("setsockopt SO_BINDTODEVICE", err)
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt SO_DOMAIN", err)
	}
	var anywhere unix.Sockaddr = &unix.SockaddrInet4{}
	if domain == unix.AF_INET6 {
		anywhere = &unix.SockaddrInet6{}
	}
	if err := unix.Bind(fd, anywhere); err != nil || !listens {
		return os.NewSyscallError("bind", err)
	}
	return os.NewSyscallError("listen", unix.Listen(fd, 1))
}

// closeStandIns ends what withdraw has opened.
func closeStandIns(fds []int) error {
	var errs []error
	for _, fd := range slices.Backward(fds) {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}
