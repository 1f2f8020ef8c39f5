package hours

import "time"

// date is a day of the calendar.
type date struct {
	year    int
	month   time.Month
	day     int
	weekday time.Weekday
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, m, d, t.Weekday()}
}

// before returns the day before d. UTC skips no day; a zone may.
func (d date) before() date {
	return dateOf(time.Date(d.year, d.month, d.day-1, 0, 0, 0, 0, time.UTC))
}

// days are the days that all four parts hold.
type days struct {
	weekdays          uint8 // a bit for each; 0: every one
	years, months, on spans // on: of the month
}

func (d days) contain(day date) bool {
	if d.weekdays != 0 && d.weekdays&(1<<day.weekday) == 0 {
		return false
	}
	return d.years.hold(day.year) && d.months.hold(int(day.month)) && d.on.hold(day.day)
}

// spans are ranges of numbers, both ends included. None at all hold every number.
type spans []struct{ first, last int }

// last is the largest number that s holds, of which there must be some.
func (s spans) last() int {
	n := s[0].last
	for _, one := range s {
		n = max(n, one.last)
	}
	return n
}

func (s spans) hold(n int) bool {
	for _, one := range s {
		if one.first <= n && n <= one.last {
			return true
		}
	}
	return len(s) == 0
}
