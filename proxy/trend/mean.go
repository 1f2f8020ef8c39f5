package trend

import (
	"sync"
	"sync/atomic"
	"time"
)

// Sum is how many durations were counted, and what they add up to.
type Sum struct {
	Count uint64
	Total time.Duration
}

// Plus adds two sums.
func (s Sum) Plus(other Sum) Sum { return Sum{s.Count + other.Count, s.Total + other.Total} }

// minus is what came after before.
func (s Sum) minus(before Sum) Sum { return Sum{s.Count - before.Count, s.Total - before.Total} }

// Mean is the average; 0 of nothing.
func (s Sum) Mean() time.Duration {
	if s.Count == 0 {
		return 0
	}
	return s.Total / time.Duration(s.Count)
}

// Adder counts durations. Anyone may add to it and read it.
type Adder struct{ Count, Total atomic.Uint64 } // Total in ns

// Add counts one duration.
func (a *Adder) Add(d time.Duration) {
	a.Total.Add(uint64(max(d, 0)))
	a.Count.Add(1)
}

// Sum is what was added so far.
func (a *Adder) Sum() Sum {
	n := a.Count.Load() // first: a value that is added meanwhile is in the total at most
	return Sum{n, time.Duration(a.Total.Load())}
}

// Newest is about how many values the average of a Mean is of, if there were so many.
const Newest = 1024

// Mean averages the newest of the values that a Sum has: all of the last Newest/2 at least, and no more
// than Newest and what two looks find new. Its zero value is that of an empty Sum. It is safe for
// concurrent use.
type Mean struct {
	mu           sync.Mutex
	older, newer Sum // where the window begins, and where the next one will
}

// Look notes the sum. Each look that finds Newest/2 new values moves the window on.
func (m *Mean) Look(now Sum) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.minus(m.newer).Count >= Newest/2 {
		m.older, m.newer = m.newer, now
	}
}

// Of is the part of the sum that is in the window.
func (m *Mean) Of(now Sum) Sum {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.minus(m.older)
}
