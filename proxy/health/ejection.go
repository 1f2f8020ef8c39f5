package health

import "time"

// How long an origin is left out after failures: the time doubles while it goes on failing.
const (
	FirstWait   = time.Second
	LongestWait = 30 * time.Second
)

// DialsToEject is how many dials in a row must fail before conns leave an origin out. The dials of
// other conns that run at the same time fail with the first one, so one failure says little.
const DialsToEject = 3

// Ejection is what failures say about an origin, or about one port of it. The zero Ejection says
// nothing.
type Ejection struct {
	Since, Until time.Time
	Wait         time.Duration
	streak       int // failures in a row
}

// Again is e after one more failure; needed is how many in a row eject.
func (e Ejection) Again(now time.Time, needed int) Ejection {
	e.streak = min(e.streak+1, DialsToEject)
	switch {
	case e.streak < needed:
		return e
	case e.Over(now):
		return Ejection{now, now.Add(FirstWait), FirstWait, e.streak}
	case e.Holds(now): // the answer to something that was sent before, or every origin is left out
		return e
	}
	wait := min(2*e.Wait, LongestWait)
	return Ejection{e.Since, now.Add(wait), wait, e.streak}
}

// Holds reports whether the origin is left out.
func (e Ejection) Holds(now time.Time) bool { return now.Before(e.Until) }

// Over reports whether e says nothing any more: the origin could be tried for a long time, and has
// not failed.
func (e Ejection) Over(now time.Time) bool {
	return e.Wait == 0 || !now.Before(e.Until.Add(LongestWait))
}

// Lasts reports whether the origin was tried after its first ejection, and has failed again.
func (e Ejection) Lasts() bool { return e.Wait > FirstWait }

// MayEject reports whether one more of the origins of a route may be ejected: never more than half
// of them are at once.
func MayEject(ejected, origins int) bool { return 2*(ejected+1) <= origins }
