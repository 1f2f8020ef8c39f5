package datagram

import (
	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// Train is datagrams of one size from one sender, the last perhaps shorter, that the kernel has
// not taken apart (UDP_GRO, since Linux 5.0).
type Train struct {
	Bytes []byte
	Size  int // of each datagram except the last; 0: it is a single datagram
	TOS   uint8
}

// Length is how many datagrams t holds, at least one.
func (t Train) Length() int {
	if t.Size <= 0 || len(t.Bytes) <= t.Size {
		return 1
	}
	return (len(t.Bytes) + t.Size - 1) / t.Size
}

// At returns datagram i.
func (t Train) At(i int) []byte {
	if t.Size <= 0 {
		return t.Bytes
	}
	return t.Bytes[i*t.Size : min((i+1)*t.Size, len(t.Bytes))]
}

// WantTrains has a socket receive trains. A kernel without UDP_GRO goes on with datagrams.
func WantTrains(fd int) { _ = call.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) }

// What one train holds at most: the kernel's UDP_MAX_SEGMENTS (128 since Linux 6.9, which gains
// little), and the payload of one IPv4 datagram.
const (
	maxSegments = 64
	MaxTrain    = 65535 - 20 - 8
)

// Path is what sending has shown of the way from a socket to one peer: which trains it refuses.
// Whoever sends that way keeps it, and all datagrams that share one may share a train.
type Path struct {
	limit uint16 // datagrams of this size and above leave one by one; 0: no train was refused
}

// Trains reports whether datagrams of a size may leave as a train.
func (p *Path) Trains(size int) bool { return p.limit == 0 || size < int(p.limit) }

// RefuseTrains notes that a train of datagrams of a size was refused. Smaller datagrams may still
// leave as one: what is refused most often is a size that the path would have to fragment.
func (p *Path) RefuseTrains(size int) { p.limit = uint16(size) }

// TrainRefused reports whether a send error can mean that only the train is refused, and not its
// datagrams: the device cannot (EIO), or each datagram is longer than the path takes unfragmented
// (EMSGSIZE, on older kernels EINVAL).
func TrainRefused(err error) bool {
	return err == unix.EIO || err == unix.EINVAL || err == unix.EMSGSIZE
}

// trainLength is how many datagrams from the first on may leave as one train.
func trainLength(run []Outgoing) int {
	first := &run[0]
	size := first.Size()
	total := size
	if size == 0 || len(first.Control) > 0 || !first.Path.Trains(size) {
		return 1
	}
	n := 1
	for ; n < len(run) && n < maxSegments; n++ {
		next := &run[n]
		total += next.Size()
		if !next.follows(first) || next.TOS != first.TOS || next.Size() > size || next.Size() == 0 || total > MaxTrain {
			break
		}
		if next.Size() < size { // only the last may be shorter
			return n + 1
		}
	}
	return n
}

// follows reports whether d, which leaves through the same socket, may be in one train with first:
// it has the same path, or the socket is one that flows share, and both go to one peer, which tells
// their flows apart by their headers.
func (d *Outgoing) follows(first *Outgoing) bool {
	return d.Path == first.Path || d.Shared && d.To == first.To
}
