package hours

import (
	"slices"
	"time"
)

// Schedule is in force while one of its entries is. An empty one is always in force.
type Schedule []Entry

// Entry is one string of a file.
type Entry struct {
	text string
	*rule
}

// String is the entry as the file has it.
func (e Entry) String() string { return e.text }

// Equal reports whether two entries are written alike.
func (e Entry) Equal(other Entry) bool { return e.text == other.text }

// rule is what an entry says: in force in each of the windows on each of the days.
type rule struct {
	days    days
	windows []window // sorted by their begin; never empty
	zone    *time.Location
}

// window is the minutes of a day from begin up to end, which is outside. With end <= begin the
// window goes on after midnight.
type window struct{ begin, end int }

// minutesOfDay is also the end of a window that lasts until midnight.
const minutesOfDay = 24 * 60

// overMidnight reports whether w ends on the next day.
func (w window) overMidnight() bool { return w.end <= w.begin }

// Contains reports whether s is in force at t.
func (s Schedule) Contains(t time.Time) bool {
	return len(s) == 0 || slices.ContainsFunc(s, func(e Entry) bool { return e.contains(t) })
}

// contains looks at the clock on the wall: daylight saving needs no other care.
func (r *rule) contains(t time.Time) bool {
	t = t.In(r.zone)
	today, minute := dateOf(t), t.Hour()*60+t.Minute()
	if r.days.contain(today) {
		for _, w := range r.windows {
			if w.begin <= minute && (minute < w.end || w.overMidnight()) {
				return true
			}
		}
	}
	if !r.windows[len(r.windows)-1].overMidnight() { // only the last one can be
		return false
	}
	return minute < r.windows[len(r.windows)-1].end && r.days.contain(today.before())
}
