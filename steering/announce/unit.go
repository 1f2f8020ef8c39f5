package announce

import (
	"math"
	"time"
)

// HoldTime is how long a unit must have been ready before its prefixes are announced. Origins are checked every
// 2 s by default, so a unit that fails at its first check is never seen by routers.
const HoldTime = 3 * time.Second

// The damping is that of RFC 2439 with shorter times: a route of this host stands for one hop, and not for
// the instability of a whole path. A third withdrawal within about a minute has its prefixes wait, for at
// most 3 minutes after the last one.
const (
	HalfLife      = time.Minute
	flapPenalty   = 1000.0
	suppressAbove = 2500.0
	reuseBelow    = 1000.0
	maxPenalty    = 8000.0 // three half-lives above reuseBelow
)

// unit is the host, or a route of the file: all its prefixes become ready and unready together. It belongs to a book.
type unit struct {
	announced  bool      // it has been ready for long enough, and was not withdrawn since
	readySince time.Time // zero: it is not ready
	penalty    float64   // as of penaltyAt; it halves every HalfLife
	penaltyAt  time.Time
	damped     bool // the penalty was above suppressAbove, and has not been below reuseBelow since
	flaps      uint64
	last       Verdict
}

// step judges a unit that is ready or not, where unready is the verdict if it is not. Without permission it is
// not withdrawn.
func (u *unit) step(now time.Time, ready, permitted bool, unready Verdict) Verdict {
	u.last = u.judge(now, ready, permitted, unready)
	return u.last
}

func (u *unit) judge(now time.Time, ready, permitted bool, unready Verdict) Verdict {
	if !ready {
		u.readySince = time.Time{}
		if u.announced && !permitted {
			return Kept
		}
		if u.announced {
			u.flap(now)
		}
		u.announced = false
		return unready
	}
	if u.readySince.IsZero() {
		u.readySince = now
	}
	u.damped = u.damped && u.penaltyNow(now) >= reuseBelow
	switch {
	case u.announced:
	case u.damped:
		return Damped
	case now.Sub(u.readySince) < HoldTime:
		return Waiting
	}
	u.announced = true
	return Announced
}

// suspend takes a unit out by plan: a route out of its hours is no flap.
func (u *unit) suspend() Verdict {
	u.announced, u.readySince, u.last = false, time.Time{}, Inactive
	return Inactive
}

// flap counts a withdrawal.
func (u *unit) flap(now time.Time) {
	u.flaps++
	u.penalty = min(maxPenalty, u.penaltyNow(now)+flapPenalty)
	u.penaltyAt = now
	u.damped = u.damped || u.penalty > suppressAbove
}

// penaltyNow is the penalty after its decay. A clock that was set back does not raise it.
func (u *unit) penaltyNow(now time.Time) float64 {
	age := max(0, now.Sub(u.penaltyAt))
	return u.penalty * math.Exp2(-age.Seconds()/HalfLife.Seconds())
}

// wait is how long until the unit is announced if it stays ready; 0: it is announced, or not ready.
func (u *unit) wait(now time.Time) time.Duration {
	if u.announced || u.readySince.IsZero() {
		return 0
	}
	hold := HoldTime - now.Sub(u.readySince)
	if u.damped {
		halves := math.Log2(u.penaltyNow(now) / reuseBelow)
		hold = max(hold, time.Duration(halves*float64(HalfLife)))
	}
	return max(0, hold)
}
