package route

import (
	"sync/atomic"
	"time"

	"anyport/config"
)

// SharedBandwidth is route_bandwidth in one direction: a token bucket that the conns of all loops draw
// on. It is kept as GCRA's theoretical arrival time (ITU-T I.371): the moment at which all that was
// taken has passed at the rate. A conn that finds it in the future takes its next bytes all the same,
// and moves them when that moment has come. So conns wait in the order in which they came, whichever
// loop has them, each for one quantum: no conn starves, and none has to ask again and again.
//
// It is safe for concurrent use. Another rate is another SharedBandwidth.
type SharedBandwidth struct {
	rate    int64        // bytes a second
	arrival atomic.Int64 // in nanoseconds since epoch
	waiting atomic.Int64 // conns that have taken bytes and may not move them yet
	_       [40]byte     // the two directions on two cache lines
}

// epoch is any moment before the first conn, from which the monotonic clock is counted.
var epoch = time.Now()

const (
	// sharedBurst is how much of the bandwidth may pass at once after a pause. Loops wake a conn up
	// to 100 ms late (wheel.Wheel), which a shorter burst would take away from the rate.
	sharedBurst = 250 * time.Millisecond

	// sharedRound is how long all conns that wait need to move one quantum each. It is longer than a
	// loop is late, so that no bandwidth is left unused for a conn that wakes early to take alone.
	sharedRound = 200 * time.Millisecond

	quantumLeast = 4 << 10 // bytes; smaller quanta would cost many calls
)

// Quantum is how many bytes a conn takes at once: an equal part of a round for each that waits, and
// for the one that asks.
func (b *SharedBandwidth) Quantum() int {
	round := float64(b.rate) * sharedRound.Seconds()
	return int(max(round/float64(b.Waiting()+1), quantumLeast))
}

// Free reports whether Take would return 0.
func (b *SharedBandwidth) Free(now time.Time) bool { return b.arrival.Load() <= int64(now.Sub(epoch)) }

// Take takes n bytes, and returns how long the caller has to wait before it moves them.
func (b *SharedBandwidth) Take(n int, now time.Time) time.Duration {
	at := int64(now.Sub(epoch))
	for {
		before := b.arrival.Load()
		begin := max(before, at-int64(sharedBurst))
		if b.arrival.CompareAndSwap(before, begin+b.cost(n)) {
			return time.Duration(max(begin-at, 0))
		}
	}
}

// GiveBack returns n bytes that were taken and not moved. A negative n takes more without waiting.
func (b *SharedBandwidth) GiveBack(n int) { b.arrival.Add(-b.cost(n)) }

// BeginWait counts a conn that waits. The caller owes one EndWait.
func (b *SharedBandwidth) BeginWait() { b.waiting.Add(1) }

// EndWait undoes BeginWait.
func (b *SharedBandwidth) EndWait() { b.waiting.Add(-1) }

// Waiting is the number of conns that wait.
func (b *SharedBandwidth) Waiting() int64 { return b.waiting.Load() }

// cost is how long n bytes take at the rate, in nanoseconds. In int64, n times a second could overflow.
func (b *SharedBandwidth) cost(n int) int64 {
	return int64(float64(n) * float64(time.Second) / float64(b.rate))
}

// Shared is the route_bandwidth in a direction, nil if there is none: that of the generation in service,
// also for conns that began in an earlier one.
func (r *Route) Shared(d Direction) *SharedBandwidth {
	if both := r.Stats.shared.Load(); both != nil {
		return &both[d]
	}
	return nil
}

// share sets route_bandwidth; 0: none. Bytes that were taken at another rate are forgotten.
func (s *Stats) share(rate config.Rate) {
	both := s.shared.Load()
	switch {
	case rate == 0:
		s.shared.Store(nil)
	case both == nil || both[0].rate != int64(rate):
		both = new([directions]SharedBandwidth)
		for d := range both {
			both[d].rate = int64(rate)
		}
		s.shared.Store(both)
	}
}
