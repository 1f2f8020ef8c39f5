package datagram

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// Outgoing is a datagram to send: header and payload leave as one, uncopied.
type Outgoing struct {
	FD              int
	Header, Payload []byte
	Control         []byte        // control message that names the source, where a raw socket sends
	To              call.Endpoint // zero on a connected socket
	Path            *Path         // required, except for a datagram that is sent alone
	TOS             uint8         // see WantTOS
	IPv6            bool          // family of the peer; matters only where TOS is not 0
	Shared          bool          // the socket is one that flows share: see follows
}

// Size is the length of header and payload.
func (d *Outgoing) Size() int { return len(d.Header) + len(d.Payload) }

// maxParts is the number of iovecs of a batch, where each datagram has a header and a payload.
const maxParts = 1024

// SendBatch is memory for datagrams laid out for sendmmsg. Neighbours of one size become a train,
// which crosses the kernel as one (UDP_SEGMENT, since Linux 4.18). The zero value is ready. It
// belongs to one event loop, and holds nothing from one Send to the next.
type SendBatch struct {
	messages [BatchSize]mmsghdr
	names    [BatchSize]call.Sockaddr // of the peers
	controls [BatchSize]controlMessages
	parts    [maxParts]unix.Iovec
	before   [BatchSize + 1]int // datagrams before message i
}

// Send sends the beginning of a run, all of which is for one socket: as much as the batch holds. It
// returns how many datagrams the kernel took, and how many are one message with the first of the
// others: these share its error.
func (b *SendBatch) Send(run []Outgoing) (sent, inMessage int, err error) {
	if d := &run[0]; len(run) == 1 && len(d.Header) == 0 && len(d.Control) == 0 && d.TOS == 0 {
		if err = sendto(d.FD, d.Payload, d.To); err != nil {
			return 0, 1, err
		}
		return 1, 1, nil
	}
	n, err := sendmmsg(run[0].FD, b.layOut(run))
	return b.before[n], b.before[1], err
}

// layOut lays out the beginning of a run, as much as the batch holds.
func (b *SendBatch) layOut(run []Outgoing) []mmsghdr {
	parts, n := b.parts[:], 0
	for rest := run; len(rest) > 0 && n < BatchSize && len(parts) >= 2*maxSegments; n++ {
		train := rest[:trainLength(rest)]
		used := gather(parts, train)
		b.setPeer(n, &train[0])
		b.messages[n].Iov = &parts[0]
		b.messages[n].SetIovlen(used)
		b.setControl(n, train)
		b.before[n+1] = b.before[n] + len(train)
		parts, rest = parts[used:], rest[len(train):]
	}
	return b.messages[:n]
}

// setPeer clears message i, and gives it its peer where the socket is not connected.
func (b *SendBatch) setPeer(i int, d *Outgoing) {
	b.messages[i] = mmsghdr{}
	if d.To != (call.Endpoint{}) {
		b.names[i] = d.To.Sockaddr()
		name := b.names[i].Bytes()
		b.messages[i].Name, b.messages[i].Namelen = unsafe.SliceData(name), uint32(len(name))
	}
}

// gather lists the parts of a train in memory. Parts that follow each other there, as those of a
// train do that was received as one, become one.
func gather(parts []unix.Iovec, train []Outgoing) (used int) {
	var end uintptr // of the last part
	part := func(b []byte) {
		if len(b) == 0 {
			return
		}
		start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
		if used > 0 && start == end {
			parts[used-1].SetLen(int(parts[used-1].Len) + len(b))
		} else {
			parts[used].Base = unsafe.SliceData(b)
			parts[used].SetLen(len(b))
			used++
		}
		end = start + uintptr(len(b))
	}
	for i := range train {
		part(train[i].Header)
		part(train[i].Payload)
	}
	return used
}
