package tcp

import (
	"errors"
	"math/bits"
	"sync"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// What one end has sent and the other has not taken is kept, in a buffer that fits. All
// that is kept has a bound. Beyond it a way reads nothing that it would have to keep: it
// looks at what has come without taking it from the kernel, passes on what the reader takes
// at once, and only then takes that much (pass). So nobody waits for memory, and nobody can
// be kept waiting: a reader that reads is served as before, with a call more for each
// read, and a reader that stalls stops its own sender.

const (
	bufferSize = 64 << 10
	leastClass = 11 // buffers hold 2 KiB, and twice as much in each class
	classes    = 6

	keptMost    = 32 << 20 // bytes that the loops may keep together
	keptOfALoop = 4 << 20  // and each of them in any case
)

// buffer holds what one end has sent and the other has not taken yet.
type buffer struct {
	bytes    []byte
	from, to int
}

// store is the buffers in use of one loop.
type store struct{ kept, most int }

// spares are buffers that no loop uses, by class.
var spares [classes]sync.Pool

func newStore(loops int) store { return store{most: max(keptMost/loops, keptOfALoop)} }

// full says that what a read brings might not find room.
func (s *store) full() bool { return s.kept+bufferSize > s.most }

// keep copies b, which has a byte at least and is no longer than bufferSize.
func (s *store) keep(b []byte) *buffer {
	class := classOf(len(b))
	k, ok := spares[class].Get().(*buffer)
	if !ok {
		k = &buffer{bytes: make([]byte, 1<<(leastClass+class))}
	}
	k.from, k.to = 0, copy(k.bytes, b)
	s.kept += len(k.bytes)
	return k
}

// drop takes back a buffer.
func (s *store) drop(k *buffer) {
	s.kept -= len(k.bytes)
	spares[classOf(len(k.bytes))].Put(k)
}

// shrink moves what is left in a buffer to one that fits better, if that is much smaller.
func (s *store) shrink(k *buffer) *buffer {
	if classOf(k.to-k.from)+2 > classOf(len(k.bytes)) {
		return k
	}
	smaller := s.keep(k.bytes[k.from:k.to])
	s.drop(k)
	return smaller
}

// classOf is the smallest class that n bytes fit in.
func classOf(n int) int { return max(bits.Len(uint(n-1))-leastClass, 0) }

// pass moves what the reader takes now, and leaves all else in the kernel.
func (l *loop) pass(c *conn, d route.Direction) {
	from, to := &c.ends[d], &c.ends[1-d]
	n, err := l.wire.peek(from.fd, l.scratch)
	if n <= 0 || err != nil { // FIN, RST, nothing: a read says which
		if n := l.receive(c, d, l.scratch); n > 0 {
			l.send(c, d, l.scratch[:n])
		}
		return
	}
	sent, err := l.wire.sendto(to.fd, l.scratch[:n])
	if err != nil {
		to.wrote(err)
		return
	}
	l.discard(from, sent)
	l.count(c, d, sent)
	c.ways[d].streak = streak(c.ways[d].streak, sent)
	from.emptied(sent == n && n < len(l.scratch))
}

// discard takes n bytes from the kernel that have been passed on. They are there, for
// nobody else reads, so it takes them or the conn has to end: they must not be passed on
// again. At an urgent byte a signal can make a read fail (see receive), until it is handled.
func (l *loop) discard(from *end, n int) {
	for n > 0 {
		k, err := l.wire.discard(from.fd, n)
		switch {
		case err == nil && k > 0:
			n -= k
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
		default:
			from.failed, from.readable = true, false
			return
		}
	}
}
