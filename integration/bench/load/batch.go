package load

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is what recvmmsg fills, and sendmmsg sends.
type batch struct {
	messages [udpBatch]struct { // struct mmsghdr
		unix.Msghdr
		length uint32
	}
	parts [udpBatch]unix.Iovec
	names [udpBatch]sockaddr
	bytes [udpBatch][]byte
}

// segmentSpace is room for what UDP_GRO tells.
var segmentSpace = unix.CmsgSpace(4)

// newInbox has memory for the longest messages there are.
func newInbox() *batch {
	b := &batch{}
	for i := range b.messages {
		b.set(i, make([]byte, 1<<16), make([]byte, segmentSpace))
	}
	return b
}

// set gives message i its memory.
func (b *batch) set(i int, bytes, control []byte) {
	b.bytes[i] = bytes
	b.parts[i].Base = unsafe.SliceData(bytes)
	b.parts[i].SetLen(len(bytes))
	m := &b.messages[i]
	m.Iov = &b.parts[i]
	m.SetIovlen(1)
	m.Name, m.Namelen = &b.names[i][0], uint32(len(b.names[i]))
	m.Control = unsafe.SliceData(control)
	m.SetControllen(len(control))
}

// message is the i-th that was filled.
func (b *batch) message(i int) message {
	return message{bytes: b.bytes[i][:b.messages[i].length], size: b.segment(i), from: b.names[i].addrPort()}
}

// segment is the size of the datagrams of message i.
func (b *batch) segment(i int) int {
	m := &b.messages[i]
	if int(m.Controllen) >= unix.CmsgLen(4) {
		header := (*unix.Cmsghdr)(unsafe.Pointer(m.Control))
		if header.Level == unix.SOL_UDP && header.Type == unix.UDP_GRO {
			return int(*(*int32)(unsafe.Add(unsafe.Pointer(m.Control), unix.CmsgLen(0))))
		}
	}
	return int(m.length)
}

// call has the kernel take messages first to end-1, as many as it can without waiting.
func (b *batch) call(number uintptr, fd, first, end int) (n int, err error) {
	return result(unix.RawSyscall6(number, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[first])), uintptr(end-first), 0, 0, 0))
}
