package hours

import (
	"slices"
	"time"
)

// horizon is how far Next looks. The 29th of February on a given weekday returns after at most 40 years.
const horizon = 41 * 366

// Next returns the first moment after t at which s begins or ends to be in force. It is not ok if
// there is none, such as after the last of a list of dates.
func (s Schedule) Next(t time.Time) (next time.Time, ok bool) {
	inForce := s.Contains(t)
	for t, left := t, horizon; left > 0 && !s.settled(t); left-- {
		moments, end := s.momentsFrom(t)
		for _, m := range moments {
			if s.Contains(m) != inForce {
				return m, true
			}
		}
		t = end
	}
	return time.Time{}, false
}

// settled reports, without looking at each day, that s does not change any more after t: it has an entry without
// bounds, or all its dates are over.
func (s Schedule) settled(t time.Time) bool {
	over := true
	for _, e := range s {
		if e.days.weekdays == 0 && len(e.days.years)+len(e.days.months)+len(e.days.on) == 0 && e.windows[0] == (window{0, minutesOfDay}) {
			return true
		}
		over = over && len(e.days.years) > 0 && e.days.years.last() < t.Year()-1 // a zone may be a year behind
	}
	return over
}

// momentsFrom returns every moment from t to end, about a day later, at which an entry may change,
// sorted. t is not among them, and end is.
func (s Schedule) momentsFrom(t time.Time) (moments []time.Time, end time.Time) {
	end = t.Add(24 * time.Hour)
	for _, e := range s {
		moments = e.appendMoments(moments, t, end)
	}
	slices.SortFunc(moments, time.Time.Compare)
	return append(moments, end), end
}

// appendMoments appends the moments after t and before end at which r may change: its windows' begins and
// ends, midnight, and the moments at which the clock on the wall jumps.
func (r *rule) appendMoments(moments []time.Time, t, end time.Time) []time.Time {
	for t.Before(end) {
		stretch := end // up to here the offset to UTC is that of t
		if _, jump := t.In(r.zone).ZoneBounds(); !jump.IsZero() && jump.Before(end) {
			stretch = jump
			moments = append(moments, jump)
		}
		moments = r.appendWall(moments, t, stretch)
		t = stretch
	}
	return moments
}

// appendWall does so for a stretch of time in which the clock on the wall does not jump.
func (r *rule) appendWall(moments []time.Time, t, stretch time.Time) []time.Time {
	local := t.In(r.zone)
	_, offset := local.Zone()
	y, m, d := local.Date()
	for day := range 3 { // the stretch is at most a day, which touches two days
		midnight := time.Date(y, m, d+day, 0, 0, 0, 0, time.UTC).Add(-time.Duration(offset) * time.Second)
		add := func(minute int) {
			if at := midnight.Add(time.Duration(minute) * time.Minute); at.After(t) && at.Before(stretch) {
				moments = append(moments, at)
			}
		}
		add(0)
		for _, w := range r.windows {
			add(w.begin)
			add(w.end)
		}
	}
	return moments
}
