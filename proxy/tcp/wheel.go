package tcp

import (
	"math"
	"time"
)

const (
	tick   = 100 * time.Millisecond
	spokes = 512 // a turn of the wheel: 51.2 s

	// never is a moment that does not come.
	never = time.Duration(math.MaxInt64)
)

// wheel is a hashed timing wheel (Varghese and Lauck 1987): setting and stopping
// a timer cost the same with one timer and with a million. Moments are durations
// since the loop began; a timer fires up to one tick late, never early.
type wheel struct {
	heads   [spokes]*timer
	past    int64 // the last tick that advance went over
	soonest int64 // no timer is due before this tick; 0: none is set
	firing  []*timer
}

// timer is a place in the wheel. The zero value is not set.
type timer struct {
	conn       *conn // nil for the gate's
	next, prev *timer
	due        int64 // tick; 0: not set
}

// set moves t to at; never takes it out.
func (w *wheel) set(t *timer, at time.Duration) {
	w.stop(t)
	if at == never {
		return
	}
	t.due = max(w.past+1, int64((at-1)/tick)+1)
	head := &w.heads[t.due%spokes]
	t.next = *head
	if t.next != nil {
		t.next.prev = t
	}
	*head = t
	if w.soonest == 0 || t.due < w.soonest {
		w.soonest = t.due
	}
}

func (w *wheel) stop(t *timer) {
	if t.due == 0 {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.heads[t.due%spokes] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev, t.due = nil, nil, 0
}

// advance fires what is due at now. A timer that fire stops may be among those
// and fire all the same.
func (w *wheel) advance(now time.Duration, fire func(t *timer)) {
	last := int64(now / tick)
	if last <= w.past {
		return
	}
	if w.soonest == 0 || last < w.soonest {
		w.past = last
		return
	}
	first := max(w.past+1, last-spokes+1) // after a whole turn every spoke is visited once
	w.past = last
	for spoke := first; spoke <= last; spoke++ {
		w.collect(spoke%spokes, last)
	}
	w.soonest = w.search()
	for i, t := range w.firing {
		w.firing[i] = nil
		fire(t)
	}
	w.firing = w.firing[:0]
}

// collect takes the timers of a spoke that are due by last; the others have
// whole turns of the wheel before them.
func (w *wheel) collect(spoke, last int64) {
	for t := w.heads[spoke]; t != nil; {
		next := t.next
		if t.due <= last {
			w.stop(t)
			w.firing = append(w.firing, t)
		}
		t = next
	}
}

// search returns the first tick that may have a timer, 0 where none is set.
func (w *wheel) search() int64 {
	for due := w.past + 1; due <= w.past+spokes; due++ {
		if w.heads[due%spokes] != nil {
			return due
		}
	}
	return 0
}

// wait is how long nothing can be due; never where no timer is set.
func (w *wheel) wait(now time.Duration) time.Duration {
	if w.soonest == 0 {
		return never
	}
	return max(0, time.Duration(w.soonest)*tick-now)
}
