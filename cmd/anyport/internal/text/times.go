package text

import (
	"fmt"
	"time"
)

// Seconds writes a time with a digit after the point if it is below 10 s.
func Seconds(seconds float64) string {
	unit := time.Second
	if seconds < 10 {
		unit = 100 * time.Millisecond
	}
	return time.Duration(seconds * float64(time.Second)).Round(unit).String()
}

// took is an average, to three digits; "-": there is none.
func took(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	d := time.Duration(*seconds * float64(time.Second))
	for unit := time.Second; unit > time.Microsecond; unit /= 10 {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Microsecond).String()
}

// lasted is for how long something was so in all; "-": never.
func lasted(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return Seconds(seconds)
}

// agoOf is ago for what may never have been: "-".
func agoOf(at *time.Time, now time.Time) string {
	if at == nil {
		return "-"
	}
	return ago(*at, now)
}

// ago is how long ago something was, in its largest unit.
func ago(at, now time.Time) string {
	d := max(now.Sub(at), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// perSecond has a digit after the point where that tells something.
func perSecond(rate float64) string {
	if rate == 0 || rate >= 10 {
		return Number(uint64(rate + 0.5))
	}
	return fmt.Sprintf("%.1f", rate)
}

// shortTime is a time in at most 4 characters or so: its largest unit.
func shortTime(seconds float64) string {
	if seconds < 9.95 {
		return fmt.Sprintf("%.1fs", seconds)
	}
	return ago(time.Unix(0, 0), time.Unix(int64(seconds), 0))
}
