package socketfilter

import (
	"os"

	"golang.org/x/sys/unix"
)

// Attach has the kernel keep what program returns of each packet, in bytes; 0 drops it.
func Attach(fd int, program []unix.SockFilter) error {
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return os.NewSyscallError("setsockopt SO_ATTACH_FILTER", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &filter))
}

// DropAll has the kernel drop all packets that arrive on fd, without an answer: a TCP
// listener sends no SYN-ACK and no RST, a UDP or raw socket queues nothing.
func DropAll(fd int) error {
	return Attach(fd, []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}})
}
