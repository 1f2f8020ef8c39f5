package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is the most datagrams of one recvmmsg or sendmmsg.
const batch = 64

// mmsghdr is the kernel's struct mmsghdr, which x/sys does not have.
type mmsghdr struct {
	unix.Msghdr
	Len uint32
}

// recvmmsg fills as many messages as wait on fd, and never waits itself.
func recvmmsg(fd int, messages []mmsghdr) (int, error) {
	return mmsg(unix.SYS_RECVMMSG, fd, messages, unix.MSG_DONTWAIT)
}

// sendmmsg sends messages in order up to the first that fails. The error is that
// of the first message; where a later one fails, it is for the next call to meet.
func sendmmsg(fd int, messages []mmsghdr) (int, error) {
	return mmsg(unix.SYS_SENDMMSG, fd, messages, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func mmsg(call uintptr, fd int, messages []mmsghdr, flags uintptr) (int, error) {
	for {
		n, _, errno := unix.Syscall6(call, uintptr(fd),
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

// inbox reads datagrams in batches; those of one read last until the next.
type inbox struct {
	messages []mmsghdr
	iovecs   []unix.Iovec
	buffers  [][]byte
	names    []sockaddr          // empty where the peer is known
	controls [][controlSize]byte // likewise
	filled   int
}

// bufferSize takes the longest datagram of either family; the cache line more
// keeps the beginnings of a batch's buffers out of one and the same cache set.
const bufferSize = 1<<16 + 64

// newBuffers makes the memory of a batch; inboxes that are never read at the
// same time share it.
func newBuffers(size int) [][]byte {
	memory := make([]byte, batch*size)
	buffers := make([][]byte, batch)
	for i := range buffers {
		buffers[i] = memory[i*size : (i+1)*size]
	}
	return buffers
}

// newInbox makes an inbox; an addressed one reads names and control messages too.
func newInbox(buffers [][]byte, addressed bool) *inbox {
	in := &inbox{messages: make([]mmsghdr, batch), iovecs: make([]unix.Iovec, batch), buffers: buffers, filled: batch}
	if addressed {
		in.names = make([]sockaddr, batch)
		in.controls = make([][controlSize]byte, batch)
	}
	for i := range in.messages {
		in.iovecs[i].Base = &buffers[i][0]
		in.iovecs[i].SetLen(len(buffers[i]))
		in.messages[i].Iov = &in.iovecs[i]
		in.messages[i].SetIovlen(1)
	}
	return in
}

// read takes what waits on fd, up to a batch.
func (in *inbox) read(fd int) (int, error) {
	in.reset()
	n, err := recvmmsg(fd, in.messages)
	in.filled = n
	return n, err
}

// reset undoes what the last read wrote into the headers it filled.
func (in *inbox) reset() {
	for i := range in.names[:min(in.filled, len(in.names))] {
		m := &in.messages[i]
		m.Name, m.Namelen = &in.names[i].bytes[0], uint32(len(in.names[i].bytes))
		m.Control = &in.controls[i][0]
		m.SetControllen(controlSize)
	}
}

// payload is datagram i of the last read.
func (in *inbox) payload(i int) []byte { return in.buffers[i][:in.messages[i].Len] }

// truncated reports whether datagram i was longer than its buffer.
func (in *inbox) truncated(i int) bool { return in.messages[i].Flags&unix.MSG_TRUNC != 0 }

// sender is the peer that sent datagram i.
func (in *inbox) sender(i int) (endpoint, bool) {
	return parseSockaddr(in.names[i].bytes[:min(int(in.messages[i].Namelen), len(in.names[i].bytes))])
}

// control is what the kernel says beside datagram i.
func (in *inbox) control(i int) (control, bool) {
	return parseControl(in.controls[i][:in.messages[i].Controllen])
}
