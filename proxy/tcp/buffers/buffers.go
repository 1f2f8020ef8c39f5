// Package buffers keeps what one end of a conn has sent and the other has not taken yet, in
// buffers that fit, within a bound for each loop.
package buffers

import (
	"math/bits"
	"sync"
)

const (
	// Size is the largest buffer, and what one read brings at most.
	Size = 64 << 10

	leastClass = 11 // buffers hold 2 KiB, and twice as much in each class
	classes    = 6

	keptByAll  = 32 << 20 // bytes that all loops may keep together
	keptByLoop = 4 << 20  // and each of them in any case
)

// Buffer holds bytes of one way. It belongs to the loop that keeps it.
type Buffer struct {
	bytes    []byte // of a class's size
	from, to int    // what is held: bytes[from:to]
}

// Held is what waits to be taken.
func (k *Buffer) Held() []byte { return k.bytes[k.from:k.to] }

// Size is the memory that k takes, in bytes.
func (k *Buffer) Size() int { return len(k.bytes) }

// Store counts the buffers in use of one loop, which alone calls it.
type Store struct {
	most int // bytes, of buffers as they are large
	kept int
}

// free are buffers that no loop uses, by class.
var free [classes]sync.Pool

// NewStore returns the store of one of several loops.
func NewStore(loops int) Store { return Store{most: max(keptByAll/loops, keptByLoop)} }

// NewStoreOf returns a store of at most that many bytes.
func NewStoreOf(most int) Store { return Store{most: most} }

// Kept is the size of all buffers in use.
func (s *Store) Kept() int { return s.kept }

// Full says that what a read brings might not find room.
func (s *Store) Full() bool { return s.kept+Size > s.most }

// Keep copies b, which has a byte at least and is no longer than Size. It does not look at the
// bound: ask Full before the read.
func (s *Store) Keep(b []byte) *Buffer {
	class := classOf(len(b))
	k, ok := free[class].Get().(*Buffer)
	if !ok {
		k = &Buffer{bytes: make([]byte, 1<<(leastClass+class))}
	}
	k.from, k.to = 0, copy(k.bytes, b)
	s.kept += len(k.bytes)
	return k
}

// Drop takes back a buffer with all that it holds.
func (s *Store) Drop(k *Buffer) {
	s.kept -= len(k.bytes)
	free[classOf(len(k.bytes))].Put(k)
}

// Took notes that the first n bytes of k were taken, and returns what holds the rest: nil where
// nothing is left, and a smaller buffer where that is much smaller.
func (s *Store) Took(k *Buffer, n int) *Buffer {
	k.from += n
	left := k.to - k.from
	switch {
	case left == 0:
		s.Drop(k)
		return nil
	case classOf(left)+2 > classOf(len(k.bytes)):
		return k
	}
	smaller := s.Keep(k.Held())
	s.Drop(k)
	return smaller
}

// classOf is the smallest class that n bytes fit in.
func classOf(n int) int { return max(bits.Len(uint(n-1))-leastClass, 0) }
