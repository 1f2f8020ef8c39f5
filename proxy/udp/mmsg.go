package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// batch is the most messages of one recvmmsg or sendmmsg.
const batch = 64

// mmsghdr is the kernel's struct mmsghdr, which x/sys does not have.
type mmsghdr struct {
	unix.Msghdr
	Len uint32
}

// recvmmsg fills as many messages as wait on fd, and never waits itself. One by itself costs
// the kernel less than a batch of one.
func recvmmsg(fd int, messages []mmsghdr) (int, error) {
	if len(messages) != 1 {
		return mmsg(unix.SYS_RECVMMSG, fd, messages, unix.MSG_DONTWAIT)
	}
	for {
		n, err := call.Recvmsg(fd, &messages[0].Msghdr, unix.MSG_DONTWAIT)
		switch err {
		case nil:
			messages[0].Len = uint32(n)
			return 1, nil
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}

// sendmmsg sends messages in order up to the first that fails. The error is that
// of the first message; where a later one fails, it is for the next call to meet.
func sendmmsg(fd int, messages []mmsghdr) (int, error) {
	return mmsg(unix.SYS_SENDMMSG, fd, messages, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// sendto sends a single datagram, to the socket's own peer where to is zero: it costs the
// kernel less than a batch of one.
func sendto(fd int, b []byte, to endpoint) error {
	var name []byte
	if to != (endpoint{}) {
		s := to.sockaddr()
		name = s.slice()
	}
	for {
		if _, err := call.Sendto(fd, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, name); err != unix.EINTR {
			return err
		}
	}
}

// mmsg does not tell Go's scheduler of the call, which never waits.
func mmsg(call uintptr, fd int, messages []mmsghdr, flags uintptr) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(call, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(messages))), uintptr(len(messages)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
