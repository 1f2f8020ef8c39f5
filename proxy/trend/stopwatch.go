package trend

import (
	"sync"
	"time"
)

// Stopwatch adds up how long something lasts that comes and goes. It counts on with each Note, so its
// total is never behind by more than the time between two of them. Its zero value stands still. It is safe
// for concurrent use.
type Stopwatch struct {
	mu      sync.Mutex
	runs    bool
	counted time.Time // up to here total has it, while it runs
	total   time.Duration
	starts  uint64
	changed time.Time // the last start or stop; zero: there was none
}

// Note says whether it lasts at a moment.
func (s *Stopwatch) Note(lasts bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := now.Sub(s.counted)
	if since > 0 { // two who note may be in the wrong order
		s.counted = now
	}
	if s.runs {
		s.total += max(since, 0)
	}
	if s.runs == lasts {
		return
	}
	s.runs, s.changed = lasts, now
	if lasts {
		s.starts++
	}
}

// Resume is Note(true) for what has begun in another process, which has counted the start.
func (s *Stopwatch) Resume(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs, s.counted = true, now
}

// Add adds what another process has counted.
func (s *Stopwatch) Add(total time.Duration, starts uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += total
	s.starts += starts
}

// Total is how long it has lasted in all.
func (s *Stopwatch) Total() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Starts is how often it has begun.
func (s *Stopwatch) Starts() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts
}

// Changed is when it last began or ended in this process; the zero time if it did neither.
func (s *Stopwatch) Changed() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}
