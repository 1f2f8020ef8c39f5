package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// What one train holds: the kernel's UDP_MAX_SEGMENTS (128 since Linux 6.9, which gains
// little), and the payload of one IPv4 datagram.
const (
	maxSegments = 64
	maxTrain    = 65535 - 20 - 8
)

// maxParts are those of a batch, where each datagram has a header and a payload.
const maxParts = 1024

// mail is datagrams laid out for sendmmsg. Neighbours of one size become a train, which
// crosses the kernel as one (UDP_SEGMENT, since Linux 4.18).
type mail struct {
	messages  [batch]mmsghdr
	names     [batch]sockaddr
	ancillary [batch]ancillary
	parts     [maxParts]unix.Iovec
	until     [batch + 1]int // datagrams before message i
}

// post hands over the beginning of a run, as much as there is room for. It returns how many
// datagrams the kernel took, and how many the first of the others stands and falls with.
func (m *mail) post(run []outgoing) (sent, together int, err error) {
	if d := &run[0]; len(run) == 1 && len(d.header) == 0 && len(d.control) == 0 && d.class == 0 {
		if err = sendto(d.fd, d.payload, d.to); err != nil {
			return 0, 1, err
		}
		return 1, 1, nil
	}
	n, err := sendmmsg(run[0].fd, m.lay(run))
	return m.datagrams(n), m.datagrams(1), err
}

// lay lays out the beginning of a run, all for one socket: as much as there is room for.
func (m *mail) lay(run []outgoing) []mmsghdr {
	parts, n := m.parts[:], 0
	for rest := run; len(rest) > 0 && n < batch && len(parts) >= 2*maxSegments; n++ {
		train := rest[:trainLength(rest)]
		used := gather(parts, train)
		m.address(n, train[0])
		m.messages[n].Iov = &parts[0]
		m.messages[n].SetIovlen(used)
		m.accompany(n, train)
		m.until[n+1] = m.until[n] + len(train)
		parts, rest = parts[used:], rest[len(train):]
	}
	return m.messages[:n]
}

// datagrams is how many are in the first n messages.
func (m *mail) datagrams(n int) int { return m.until[n] }

// address gives message i its peer, where the socket doesn't know it.
func (m *mail) address(i int, d outgoing) {
	m.messages[i] = mmsghdr{}
	if d.to != (endpoint{}) {
		m.names[i] = d.to.sockaddr()
		m.messages[i].Name, m.messages[i].Namelen = &m.names[i].bytes[0], m.names[i].length
	}
}

// follows reports whether d may be in one train with first: it is of the same flow, or
// of one that shares the socket, and goes to the same origin. There the two are told
// apart by their headers, whatever way they have come.
func (d *outgoing) follows(first *outgoing) bool {
	if d.direction != first.direction {
		return false
	}
	return d.flow == first.flow || d.direction == route.ToOrigin && d.flow.shared != nil && d.to == first.to
}

// trainLength is how many datagrams from the first on may leave as one train.
func trainLength(run []outgoing) int {
	first := &run[0]
	size := first.size()
	total := size
	if size == 0 || len(first.control) > 0 || !first.flow.together(first.direction, size) {
		return 1
	}
	n := 1
	for ; n < len(run) && n < maxSegments; n++ {
		next := &run[n]
		total += next.size()
		if !next.follows(first) || next.class != first.class || next.size() > size || next.size() == 0 || total > maxTrain {
			break
		}
		if next.size() < size { // none but the last may be shorter
			return n + 1
		}
	}
	return n
}

// gather names the parts of a train, which are fewer where one follows the other in
// memory, as those of a train do that came as one.
func gather(parts []unix.Iovec, train []outgoing) (used int) {
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
		part(train[i].header)
		part(train[i].payload)
	}
	return used
}
