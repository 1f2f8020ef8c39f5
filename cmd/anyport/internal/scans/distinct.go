package scans

import (
	"math"
	"math/bits"
	"slices"
)

const (
	mostListed = 32 // values of which each is kept
	registers  = 256
)

// Distinct counts different values: up to mostListed exactly, and more of them by a HyperLogLog (Flajolet et
// al., 2007), whose standard error with these registers is 6.5 %. The zero value has none.
type Distinct struct {
	listed []uint64 // sorted; nil once there are too many
	ranks  *[registers]uint8
}

// Add notes a value.
func (d *Distinct) Add(value uint64) {
	if d.ranks != nil {
		d.rank(value)
		return
	}
	i, found := slices.BinarySearch(d.listed, value)
	if found {
		return
	}
	if len(d.listed) < mostListed {
		d.listed = slices.Insert(d.listed, i, value)
		return
	}
	d.ranks = new([registers]uint8)
	for _, v := range append(d.listed, value) {
		d.rank(v)
	}
	d.listed = nil
}

// Count is how many there were, and whether that is exact.
func (d *Distinct) Count() (n int, exact bool) {
	if d.ranks == nil {
		return len(d.listed), true
	}
	sum, empty := 0.0, 0
	for _, r := range d.ranks {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			empty++
		}
	}
	const m, alpha = float64(registers), 0.7213 / (1 + 1.079/registers)
	estimate := alpha * m * m / sum
	if estimate <= 2.5*m && empty > 0 { // few values for this number of registers: counting the empty ones is more exact
		estimate = m * math.Log(m/float64(empty))
	}
	return max(int(estimate+0.5), mostListed+1), false
}

// Listed returns the values, sorted, while there are few; nil if there are more.
func (d *Distinct) Listed() []uint64 { return d.listed }

func (d *Distinct) rank(value uint64) {
	h := mix(value)
	r := uint8(bits.LeadingZeros64(h|registers-1) + 1)
	i := h % registers
	d.ranks[i] = max(d.ranks[i], r)
}

// mix is the finalizer of MurmurHash3: ports are small numbers in a row, and the estimate wants random bits.
func mix(h uint64) uint64 {
	h = (h + 0x9e3779b97f4a7c15) ^ h>>33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
