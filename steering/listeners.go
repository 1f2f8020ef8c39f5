package steering

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
)

// Listener is what the kernel reports about one of the sockets that packets are steered into.
type Listener struct {
	Protocol config.Protocol
	Worker   int
	Cookie   uint64 // names the socket: it is the same in the next process
	Queued   int    // TCP: conns that wait to be accepted; UDP: bytes of the receive buffer in use
	Room     int    // the bound of Queued
	Drops    uint32 // what the kernel has dropped since the socket was opened, modulo 2³²
}

// Listeners asks the kernel about the sockets; there are none after Close and Release. Two or three
// getsockopt a socket read it, so unlike sock_diag it needs no capability and no search of all sockets
// of the host.
func (s *Steering) Listeners() (all []Listener, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, slot := range servingSlots {
		for worker, fd := range s.sockets[slot] {
			l, err := listenerOf(fd, slot)
			if err != nil {
				return nil, err
			}
			l.Worker = worker
			all = append(all, l)
		}
	}
	return all, nil
}

func listenerOf(fd int, slot bpf.SteerSlot) (Listener, error) {
	l := Listener{Protocol: config.UDP}
	// sk_drops: of TCP what tcp_listendrop counts, which are SYNs and last ACKs of handshakes that found
	// the accept queue full, and few others; of UDP what found the receive buffer full.
	memory, err := memoryOf(fd)
	if err != nil {
		return l, err
	}
	l.Drops, l.Queued, l.Room = memory[unix.SK_MEMINFO_DROPS], int(memory[unix.SK_MEMINFO_RMEM_ALLOC]), int(memory[unix.SK_MEMINFO_RCVBUF])
	if l.Cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE); err != nil {
		return l, os.NewSyscallError("getsockopt SO_COOKIE", err)
	}
	if !stream(slot) {
		return l, nil
	}
	l.Protocol = config.TCP
	info, err := unix.GetsockoptTCPInfo(fd, unix.SOL_TCP, unix.TCP_INFO)
	if err != nil {
		return l, os.NewSyscallError("getsockopt TCP_INFO", err)
	}
	l.Queued, l.Room = int(info.Unacked), int(info.Sacked) // of a listener: sk_ack_backlog, sk_max_ack_backlog (tcp_get_info)
	return l, nil
}

// memoryOf reads SO_MEMINFO (Linux 4.12), which package unix has no function for.
func memoryOf(fd int) (memory [unix.SK_MEMINFO_VARS]uint32, err error) {
	size := uint32(unsafe.Sizeof(memory))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&memory)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return memory, os.NewSyscallError("getsockopt SO_MEMINFO", errno)
	}
	return memory, nil
}
