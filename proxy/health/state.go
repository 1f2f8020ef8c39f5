package health

import "time"

// State is what is known of an origin. It is a value: a change makes another one. The zero State is
// that of an origin that nothing is known about, which is up.
type State struct {
	Forced  Forced
	Failing bool      // by its active checks
	Why     string    // of the last change, for people
	Since   time.Time // of the last change; zero: since the start
	Back    time.Time // when it came back; zero: it never went, so slow_start does not apply
}

// Verdict is what an origin is. An order of the operator comes first, then the checks, then ejection.
func (s State) Verdict(weight int, ejected bool) Verdict {
	switch {
	case s.Forced == Down:
		return ForcedDown
	case s.Forced == Drain:
		return ForcedDrain
	case weight == 0:
		return NoWeight
	case s.Failing:
		return CheckFailed
	case ejected:
		return Ejected
	}
	return Up
}

// Checked is s after the active checks have come to a decision.
func (s State) Checked(failing bool, why string, now time.Time) State {
	if s.Failing == failing {
		return s
	}
	s.Failing = failing
	return s.changed(!failing && s.Forced == ByHealth, why, now)
}

// Force is s after an order of the operator.
func (s State) Force(to Forced, why string, now time.Time) State {
	if s.Forced == to {
		return s
	}
	s.Forced = to
	return s.changed(to == ByHealth && !s.Failing, why, now)
}

// Returned is s after an ejection that has lasted until a moment.
func (s State) Returned(at time.Time) State {
	s.Back = at
	return s
}

func (s State) changed(back bool, why string, now time.Time) State {
	s.Why, s.Since = why, now
	if back {
		s.Back = now
	}
	return s
}

// leastShare is the share of an origin that came back this moment. It is not 0, or nothing new would
// show that the origin serves.
const leastShare = 0.01

// Share is which part of its weight an origin gets that came back at back: it grows in proportion to
// the time, up to 1 after slowStart.
func Share(back, now time.Time, slowStart time.Duration) float64 {
	age := now.Sub(back)
	if back.IsZero() || age >= slowStart {
		return 1
	}
	return max(leastShare, float64(age)/float64(slowStart))
}

// Panics reports whether so few origins are up that all are tried: less than threshold percent of
// them. Where none is up, on_all_down decides instead.
func Panics(up, origins, threshold int) bool { return up > 0 && 100*up < threshold*origins }

// Result is what an active check has found.
type Result struct {
	At     time.Time // when it ended
	Took   time.Duration
	Failed string // why; "": it passed
}

// Passed reports whether the check passed.
func (r Result) Passed() bool { return r.Failed == "" }
