// Package aside does what may hang in the kernel, such as opening a file on a network mount whose
// server has gone, so that nothing else waits for it longer than a limit.
package aside

import (
	"fmt"
	"time"
)

// Worker does one thing at a time. So at most one goroutine and its thread hang, however often
// somebody asks.
type Worker struct {
	limit time.Duration
	turn  chan struct{} // holds a value while something is being done
}

// New makes a Worker that gives each caller an answer within limit.
func New(limit time.Duration) *Worker {
	return &Worker{limit: limit, turn: make(chan struct{}, 1)}
}

// Do calls do, which what describes for an error, on a goroutine of its own. Past the limit it
// returns an error, and do goes on until the kernel lets it end; nothing else is begun before.
func Do[T any](w *Worker, what string, do func() (T, error)) (value T, err error) {
	type outcome struct {
		value T
		err   error
	}
	alarm := time.NewTimer(w.limit)
	defer alarm.Stop()
	select {
	case w.turn <- struct{}{}:
	case <-alarm.C:
		return value, fmt.Errorf("%s: an earlier access to a file has not ended after %v: is it on a network mount that hangs?", what, w.limit)
	}
	done := make(chan outcome, 1)
	go func() { // ends with do
		defer func() { <-w.turn }()
		value, err := do()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-alarm.C:
		return value, fmt.Errorf("%s: not done within %v: is it on a network mount that hangs?", what, w.limit)
	}
}
