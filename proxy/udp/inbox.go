package udp

import (
	"fmt"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// inbox reads messages in batches, from one socket or from several, one after
// another. A message is a train of datagrams, most often of one.
type inbox struct {
	messages [batch]mmsghdr
	iovecs   [batch]unix.Iovec
	memory   []byte // of all buffers
	buffers  [batch][]byte
	names    [batch]sockaddr
	controls [batch][controlSize]byte
	filled   int // messages that wait to be handled
}

// bufferSize takes the longest datagram or train of either family; the cache line more
// keeps the beginnings of a batch's buffers out of one and the same cache set.
const bufferSize = 1<<16 + 64

// newInbox has its buffers outside of Go's heap. They are most of what a process with few
// flows has; and by the size of what it has, Go lets litter lie.
func newInbox(size int) (*inbox, error) {
	memory, err := unix.Mmap(-1, 0, batch*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("mapping memory for datagrams: %w", err)
	}
	in := &inbox{memory: memory, filled: batch}
	for i := range in.messages {
		in.buffers[i] = memory[i*size : (i+1)*size]
		in.iovecs[i].Base = &in.buffers[i][0]
		in.iovecs[i].SetLen(size)
		in.messages[i].Iov = &in.iovecs[i]
		in.messages[i].SetIovlen(1)
	}
	in.empty()
	return in, nil
}

func (in *inbox) close() { _ = unix.Munmap(in.memory) }

// read takes what waits on fd, at most so many messages and what there is room for,
// and returns which ones they are. They last until the inbox is emptied.
func (in *inbox) read(fd, most int) (first, end int, err error) {
	first = in.filled
	n, err := recvmmsg(fd, in.messages[first:min(first+most, batch)])
	in.filled += n
	return first, in.filled, err
}

func (in *inbox) full() bool { return in.filled == batch }

// empty makes room, and undoes what was written into the headers that were filled.
func (in *inbox) empty() {
	for i := range in.filled {
		m := &in.messages[i]
		m.Name, m.Namelen = &in.names[i].bytes[0], uint32(len(in.names[i].bytes))
		m.Control = &in.controls[i][0]
		m.SetControllen(controlSize)
	}
	in.filled = 0
}

// bytes are all those of message i.
func (in *inbox) bytes(i int) []byte { return in.buffers[i][:in.messages[i].Len] }

// truncated reports whether message i was longer than its buffer.
func (in *inbox) truncated(i int) bool { return in.messages[i].Flags&unix.MSG_TRUNC != 0 }

// sender is the peer that sent message i.
func (in *inbox) sender(i int) (endpoint, bool) {
	return parseSockaddr(in.names[i].bytes[:min(int(in.messages[i].Namelen), len(in.names[i].bytes))])
}

// control is what the kernel says beside message i.
func (in *inbox) control(i int) (control, bool) {
	return parseControl(in.controls[i][:in.messages[i].Controllen])
}

// train is datagrams of one size from one sender, the last perhaps shorter, that the
// kernel did not take apart (UDP_GRO, since Linux 5.0).
type train struct {
	bytes []byte
	size  int // 0: it is a single datagram
	class uint8
}

// length is how many datagrams t holds, at least one.
func (t train) length() int {
	if t.size <= 0 || len(t.bytes) <= t.size {
		return 1
	}
	return (len(t.bytes) + t.size - 1) / t.size
}

// at returns datagram i.
func (t train) at(i int) []byte {
	if t.size <= 0 {
		return t.bytes
	}
	return t.bytes[i*t.size : min((i+1)*t.size, len(t.bytes))]
}

// wantTrains asks for trains. A kernel that has none goes on with datagrams.
func wantTrains(fd int) { _ = call.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) }
