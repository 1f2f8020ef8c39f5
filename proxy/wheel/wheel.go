// Package wheel is the timer wheel of an event loop: its conns' timeouts, without a timer of
// the runtime's or a heap entry for each.
//
// It is pure and has no clock: the loop asks how long it may sleep (Wait), and passes the time
// when it wakes (Advance). All times are durations since the loop began.
package wheel

import (
	"math"
	"slices"
	"time"
)

const (
	tick   = 100 * time.Millisecond
	spokes = 512 // a turn of the wheel: 51.2 s

	collected = -1 // the due of a timer in firing

	// Never is a moment that does not come.
	Never = time.Duration(math.MaxInt64)
)

// Wheel is a hashed timing wheel (Varghese and Lauck 1987): setting and stopping a timer cost
// the same with one timer and with a million. A timer fires up to one tick late, never early.
// The zero value is ready. It belongs to one goroutine.
type Wheel[T any] struct {
	heads   [spokes]*Timer[T] // a list of the timers of each spoke, in no order
	past    int64             // the last tick that Advance went over
	soonest int64             // no timer is due before this tick; 0: none is set
	firing  []*Timer[T]       // those that have been due; its memory is used again
	fired   int               // how many of firing, from the first on, Advance is done with
}

// Timer is a place in one Wheel, and lies in what it is the timer of: setting it allocates
// nothing. The zero value is not set.
type Timer[T any] struct {
	Value      T // what the timer is of
	next, prev *Timer[T]
	due        int64 // tick; 0: not set; or collected
}

// Set moves t to at; Never takes it out.
func (w *Wheel[T]) Set(t *Timer[T], at time.Duration) {
	w.Stop(t)
	if at == Never {
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

// Stop takes t out, if it is set.
func (w *Wheel[T]) Stop(t *Timer[T]) {
	if t.due == 0 {
		return
	}
	if t.due != collected { // in a list
		w.unlink(t)
	}
	t.due = 0
}

// unlink takes t out of the list of its spoke.
func (w *Wheel[T]) unlink(t *Timer[T]) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.heads[t.due%spokes] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
}

// Advance fires what is due at now, most timers at most. What is left is due in the next call, and Wait is 0
// until then: very many timers can be due at once.
func (w *Wheel[T]) Advance(now time.Duration, most int, fire func(t *Timer[T])) {
	w.collectUntil(int64(now / tick))
	for ; most > 0 && w.fired < len(w.firing); w.fired++ {
		t := w.firing[w.fired]
		w.firing[w.fired] = nil
		if t.due == collected { // and not stopped or set again since
			t.due = 0
			fire(t)
			most--
		}
	}
}

// collectUntil collects what is due by a tick. The timers that fire may be set again by that, so nothing of
// the wheel is walked while they do.
func (w *Wheel[T]) collectUntil(last int64) {
	if last <= w.past {
		return
	}
	if w.soonest == 0 || last < w.soonest {
		w.past = last
		return
	}
	w.firing, w.fired = slices.Delete(w.firing, 0, w.fired), 0
	first := max(w.past+1, last-spokes+1) // after a whole turn every spoke is visited once
	w.past = last
	for spoke := first; spoke <= last; spoke++ {
		w.collect(spoke%spokes, last)
	}
	w.soonest = w.search()
}

// collect takes the timers of a spoke that are due by last; the others have
// whole turns of the wheel before them.
func (w *Wheel[T]) collect(spoke, last int64) {
	for t := w.heads[spoke]; t != nil; {
		next := t.next
		if t.due <= last {
			w.unlink(t)
			t.due = collected
			w.firing = append(w.firing, t)
		}
		t = next
	}
}

// search returns the first tick that may have a timer, 0 where none is set.
func (w *Wheel[T]) search() int64 {
	for due := w.past + 1; due <= w.past+spokes; due++ {
		if w.heads[due%spokes] != nil {
			return due
		}
	}
	return 0
}

// Wait is how long nothing can be due; Never where no timer is set.
func (w *Wheel[T]) Wait(now time.Duration) time.Duration {
	if w.fired < len(w.firing) {
		return 0
	}
	if w.soonest == 0 {
		return Never
	}
	return max(0, time.Duration(w.soonest)*tick-now)
}
