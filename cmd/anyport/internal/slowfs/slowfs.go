package slowfs

import (
	"fmt"
	"time"
)

// Worker runs one operation at a time. It may be used by any number of goroutines.
type Worker struct {
	limit time.Duration
	turn  chan struct{} // full while an operation runs; its goroutine empties it
}

// New makes a Worker whose callers wait no longer than limit, the wait for an earlier operation included.
func New(limit time.Duration) *Worker {
	return &Worker{limit: limit, turn: make(chan struct{}, 1)}
}

// Do runs do on a goroutine of its own and returns its result. When the limit is over it returns an
// error that begins with what; do runs on until the kernel lets it end, its result is dropped, and
// no other operation starts before.
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
