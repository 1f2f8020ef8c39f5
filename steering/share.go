package steering

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
)

// Share says which clients are served by a table on trial. One client, an IPv4 address or an IPv6 /64, always has
// the same side.
type Share struct {
	Seed uint64
	Of32 uint64 // how many of 1<<32
}

// NewShare is a share of percent of all clients, with a seed that no client knows.
func NewShare(percent float64) (Share, error) {
	var seed [8]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return Share{}, fmt.Errorf("draw which clients are in the share: %w", err)
	}
	return Share{Seed: binary.NativeEndian.Uint64(seed[:])}.WithPercent(percent), nil
}

// WithPercent is a share of percent of the clients with the same seed: the larger one of two has all clients of the other.
func (s Share) WithPercent(percent float64) Share {
	return Share{s.Seed, uint64(math.Round(percent / 100 * (1 << 32)))}
}

// Takes reports whether the table on trial serves client. The program decides with the same function: on_trial in
// bpf/trial.h.
func (s Share) Takes(client netip.Addr) bool {
	a := client.As16()
	h := binary.BigEndian.Uint64(a[:])
	if client = client.Unmap(); client.Is4() {
		h = 0xffff<<32 | uint64(binary.BigEndian.Uint32(a[12:]))
	}
	h ^= s.Seed
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	h ^= h >> 31
	return h>>32 < s.Of32
}
