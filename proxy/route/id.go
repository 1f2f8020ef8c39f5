package route

import (
	"math/rand/v2"
)

// ID names a conn or flow in the access log, in lists of live conns and, on routes with "unique-id", to
// its origin. It stays the same when the conn moves to another process. 0: it has none.
type ID uint64

// String is the ID as 16 hexadecimal digits.
func (id ID) String() string { return string(id.AppendTo(nil)) }

// AppendTo appends what String returns.
func (id ID) AppendTo(b []byte) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[id>>shift&15])
	}
	return b
}

// IDs makes the IDs of one event loop, whose goroutine calls Next. The order of a loop's IDs looks random
// and repeats none before 2⁶⁴; loops and processes begin at random places in it.
type IDs struct{ counter uint64 }

// NewIDs begins at a random place.
func NewIDs() IDs { return IDs{rand.Uint64()} }

// Next is a new ID: SplitMix64 of a counter, which maps each number to another one.
func (i *IDs) Next() ID {
	for {
		i.counter += 0x9e3779b97f4a7c15
		z := i.counter
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		if id := ID(z ^ z>>31); id != 0 {
			return id
		}
	}
}

// sampled reports whether the ID is within a share of all. It is the same for all lines of a conn.
func (id ID) sampled(share float64) bool {
	return share >= 1 || float64(id>>11) < share*(1<<53)
}
