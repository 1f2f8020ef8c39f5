package trend

import (
	"sync"
	"time"
)

// Rate is how fast a counter grows. Its zero value is that of a counter that is 0. It is safe for
// concurrent use.
type Rate struct {
	mu   sync.Mutex
	n    uint64    // at the last look
	peak float64   // a second
	grew time.Time // the last look that found more than the one before; zero: none did
}

// Look notes the counter, and returns by how much it has grown. elapsed is the time since the last look, or
// since the counter began. Less than a second counts as one: a counter that grows by 3 at once has not
// grown by 3,000 a second.
func (r *Rate) Look(n uint64, elapsed time.Duration, now time.Time) (more uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n <= r.n {
		return 0
	}
	more = n - r.n
	r.peak = max(r.peak, float64(more)/max(elapsed, time.Second).Seconds())
	r.n, r.grew = n, now
	return more
}

// Peak is the most that the counter has grown by in a second.
func (r *Rate) Peak() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peak
}

// Grew is when the counter has last grown, to a second; the zero time if it never has.
func (r *Rate) Grew() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.grew
}
