package route

import (
	"sync/atomic"
	"time"

	"anyport/proxy/trend"
)

// Bounds are the upper bounds of a histogram's buckets: from a dial in a LAN to a timeout.
var Bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Histogram counts durations by Bounds, with one more bucket for longer ones. One loop writes it,
// anyone may read it.
type Histogram struct {
	counts [len(Bounds) + 1]atomic.Uint64
	sum    atomic.Uint64 // ns
}

// Buckets is a Histogram at one moment.
type Buckets struct {
	Counts [len(Bounds) + 1]uint64 // not cumulative
	Sum    time.Duration
}

func (h *Histogram) observe(d time.Duration) {
	i := 0
	for i < len(Bounds) && d > Bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(uint64(max(d, 0)))
}

func (h *Histogram) addTo(b *Buckets) {
	for i := range h.counts {
		b.Counts[i] += h.counts[i].Load()
	}
	b.Sum += time.Duration(h.sum.Load())
}

// total is how many durations were observed, and what they add up to.
func (h *Histogram) total() (t trend.Sum) {
	for i := range h.counts {
		t.Count += h.counts[i].Load()
	}
	t.Total = time.Duration(h.sum.Load())
	return t
}
