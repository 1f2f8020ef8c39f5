package probe

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"anyport/proxy/health"
	"anyport/proxy/origin"
)

// job is a check that is made again and again. The runner's mutex guards it.
type job struct {
	check  Check
	counts health.Checks
	of     []Subject // the origins that it is the check of
	due    time.Time // when it begins next
	spread bool      // the second check is due, or was: see reschedule
	place  int       // in the schedule; -1: it is in progress, or stopped
	ends   bool      // no route has it any more
}

// Subject is an origin of a route, which a check is of.
type Subject struct {
	Route  string
	Origin *origin.Origin
}

// soon is how long the first check of an origin waits at most: many that come at once, with a reload,
// are spread.
const soon = time.Second

// firstDue is when a new check begins.
func firstDue(interval time.Duration, now time.Time) time.Time {
	return now.Add(rand.N(min(interval, soon)))
}

// reschedule sets when a job begins next. The second check comes after a random part of the interval:
// the first checks after a reload begin together, and this spreads the later ones.
func (j *job) reschedule(began, now time.Time) {
	interval := j.check.Rules.Interval
	if !j.spread {
		j.spread = true
		began = began.Add(-rand.N(interval))
	}
	j.due = nextDue(began, interval, now)
}

// nextDue is when a check begins that last began at a moment: an interval later, or up to a tenth
// earlier, so that checks of many hosts do not stay in step. It is never later than an interval, so
// that an origin that returns is up again after rise intervals.
func nextDue(began time.Time, interval time.Duration, now time.Time) time.Time {
	due := began.Add(interval - rand.N(interval/10+1))
	if due.Before(now) {
		return now
	}
	return due
}

// schedule is a heap of jobs by due.
type schedule []*job

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].place, s[j].place = i, j
}

// Push implements [heap.Interface].
func (s *schedule) Push(x any) {
	j := x.(*job)
	j.place = len(*s)
	*s = append(*s, j)
}

// Pop implements [heap.Interface].
func (s *schedule) Pop() any {
	old := *s
	j := old[len(old)-1]
	old[len(old)-1], *s = nil, old[:len(old)-1]
	j.place = -1
	return j
}

// add puts a job into the schedule.
func (s *schedule) add(j *job) { heap.Push(s, j) }

// remove takes a job out of the schedule, if it is there.
func (s *schedule) remove(j *job) {
	if j.place >= 0 {
		heap.Remove(s, j.place)
	}
}

// takeDue takes the first job out of the schedule if it is due; else wait is how long it is until then.
func (s *schedule) takeDue(now time.Time) (j *job, wait time.Duration) {
	switch {
	case len(*s) == 0:
		return nil, time.Hour
	case (*s)[0].due.After(now):
		return nil, (*s)[0].due.Sub(now)
	}
	return heap.Pop(s).(*job), 0
}
