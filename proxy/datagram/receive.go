package datagram

import (
	"fmt"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// ReceiveBatch holds up to [BatchSize] received messages, read from one socket or from several one
// after another, with the buffers for them. A message is a [Train] of datagrams, most often of one.
// It belongs to one event loop, which handles all messages before it calls Reset.
type ReceiveBatch struct {
	messages [BatchSize]mmsghdr
	iovecs   [BatchSize]unix.Iovec
	memory   []byte // of all buffers
	buffers  [BatchSize][]byte
	names    [BatchSize][unix.SizeofSockaddrInet6]byte // of the senders
	controls [BatchSize][controlSize]byte
	filled   int // messages read since Reset
}

// BufferSize takes the longest datagram or train of either family. One more cache line keeps the
// first bytes of all buffers out of one and the same cache set.
const BufferSize = 1<<16 + 64

// NewReceiveBatch maps buffers of size bytes each, outside of Go's heap: they are most of the
// memory of a process with few flows, and the garbage collector lets garbage grow with the size of
// the heap. Close unmaps them.
func NewReceiveBatch(size int) (*ReceiveBatch, error) {
	memory, err := unix.Mmap(-1, 0, BatchSize*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("mapping memory for datagrams: %w", err)
	}
	r := &ReceiveBatch{memory: memory, filled: BatchSize}
	for i := range r.messages {
		r.buffers[i] = memory[i*size : (i+1)*size]
		r.iovecs[i].Base = &r.buffers[i][0]
		r.iovecs[i].SetLen(size)
		r.messages[i].Iov = &r.iovecs[i]
		r.messages[i].SetIovlen(1)
	}
	r.Reset()
	return r, nil
}

// Close unmaps the buffers. Messages must not be used any more.
func (r *ReceiveBatch) Close() { _ = unix.Munmap(r.memory) }

// Read reads what is queued on fd, at most this number of messages and what is left of the batch.
// It returns which messages they are: first to end-1. They are valid until Reset.
func (r *ReceiveBatch) Read(fd, most int) (first, end int, err error) {
	first = r.filled
	n, err := recvmmsg(fd, r.messages[first:min(first+most, BatchSize)])
	r.filled += n
	return first, r.filled, err
}

// DropPending reads what is queued on fd, at most a batch, and drops it. It returns how many messages
// there were. err is EAGAIN if nothing is left and no error was pending.
func DropPending(fd int) (n int, err error) {
	for ; n < BatchSize; n++ {
		if _, err = call.Recvmsg(fd, &unix.Msghdr{}, unix.MSG_DONTWAIT); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Full reports whether Read needs a Reset before it.
func (r *ReceiveBatch) Full() bool { return r.filled == BatchSize }

// Reset drops all messages, and restores the lengths that the kernel overwrote in their headers.
func (r *ReceiveBatch) Reset() {
	for i := range r.filled {
		m := &r.messages[i]
		m.Name, m.Namelen = &r.names[i][0], uint32(len(r.names[i]))
		m.Control = &r.controls[i][0]
		m.SetControllen(controlSize)
	}
	r.filled = 0
}

// Bytes are those of message i.
func (r *ReceiveBatch) Bytes(i int) []byte { return r.buffers[i][:r.messages[i].Len] }

// Truncated reports whether message i was longer than its buffer.
func (r *ReceiveBatch) Truncated(i int) bool { return r.messages[i].Flags&unix.MSG_TRUNC != 0 }

// Sender is the peer that sent message i.
func (r *ReceiveBatch) Sender(i int) (call.Endpoint, bool) {
	return call.ParseSockaddr(r.names[i][:min(int(r.messages[i].Namelen), len(r.names[i]))])
}

// Control is what the kernel says beside message i. It is not ok where the dst is missing.
func (r *ReceiveBatch) Control(i int) (Control, bool) {
	return parseControl(r.controls[i][:r.messages[i].Controllen])
}
