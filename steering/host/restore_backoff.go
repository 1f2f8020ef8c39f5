package host

import (
	"slices"
	"time"
)

// restoreBackoff keeps this process from restoring routes as fast as another program removes
// them, which would use a CPU each and fill the log.
type restoreBackoff struct{ restores []time.Time } // when something was put back, in the last backoffWindow

const (
	backoffWindow = time.Minute
	backoffBurst  = 5                // in backoffWindow without a pause
	backoffPause  = 10 * time.Second // from then on
)

// allows reports whether something may be put back now.
func (q *restoreBackoff) allows(now time.Time) bool {
	q.restores = slices.DeleteFunc(q.restores, func(t time.Time) bool { return now.Sub(t) >= backoffWindow })
	return len(q.restores) < backoffBurst || now.Sub(q.restores[len(q.restores)-1]) >= backoffPause
}

// record has been allowed, and reports whether this is where the pauses begin.
func (q *restoreBackoff) record(now time.Time) (begins bool) {
	q.restores = append(q.restores, now)
	return len(q.restores) == backoffBurst
}
