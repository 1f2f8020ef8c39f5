package datagram

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// BatchSize is the most messages of one recvmmsg or sendmmsg.
const BatchSize = 64

// mmsghdr is the kernel's struct mmsghdr, which x/sys does not have.
type mmsghdr struct {
	unix.Msghdr
	Len uint32
}

// recvmmsg fills as many messages as are queued on fd, and does not wait for more. For one message
// recvmsg costs the kernel less than a batch of one.
func recvmmsg(fd int, messages []mmsghdr) (int, error) {
	if len(messages) == 1 {
		return recvmsg(fd, &messages[0])
	}
	return mmsg(unix.SYS_RECVMMSG, fd, messages, unix.MSG_DONTWAIT)
}

func recvmsg(fd int, m *mmsghdr) (int, error) {
	for {
		n, err := call.Recvmsg(fd, &m.Msghdr, unix.MSG_DONTWAIT)
		if err == nil {
			m.Len = uint32(n)
			return 1, nil
		}
		if err != unix.EINTR {
			return 0, err
		}
	}
}

// sendmmsg sends messages in order up to the first that fails. It returns an error only where the
// first message fails; where a later one does, the next call returns its error.
func sendmmsg(fd int, messages []mmsghdr) (int, error) {
	return mmsg(unix.SYS_SENDMMSG, fd, messages, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// sendto sends a single datagram, to the socket's own peer where to is zero. It costs the kernel
// less than a batch of one.
func sendto(fd int, b []byte, to call.Endpoint) error {
	var name []byte
	if to != (call.Endpoint{}) {
		s := to.Sockaddr()
		name = s.Bytes()
	}
	for {
		if _, err := call.Sendto(fd, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, name); err != unix.EINTR {
			return err
		}
	}
}

// mmsg is a raw call, of which Go's scheduler does not know: it never waits (MSG_DONTWAIT).
func mmsg(number uintptr, fd int, messages []mmsghdr, flags uintptr) (int, error) {
	for {
		n, err := call.Result(unix.RawSyscall6(number, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(messages))), uintptr(len(messages)), flags, 0, 0))
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}
