package mailbox

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Queue is the mailbox of one loop. Any goroutine may call Do and Wake; the loop calls Run and End.
type Queue struct {
	wake     int // an eventfd: readable while a function waits
	requests chan func()
	ended    chan struct{} // closed by End
	runs     atomic.Uint64 // calls of Run, for Pulse
}

// New makes a queue. The caller owes one Close.
func New() (*Queue, error) {
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("opening an eventfd: %w", err)
	}
	return &Queue{wake: wake, requests: make(chan func(), 1), ended: make(chan struct{})}, nil
}

// FD is what the loop watches: when it is readable, the loop has to call Run.
func (q *Queue) FD() int { return q.wake }

// Do runs f in the loop, and returns when it has returned. It is false if the loop has ended before
// that.
func (q *Queue) Do(f func()) bool {
	done := make(chan struct{})
	select {
	case q.requests <- func() { f(); close(done) }:
	case <-q.ended:
		return false
	}
	q.Wake()
	select {
	case <-done:
		return true
	case <-q.ended: // maybe f itself has ended it
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

// Wake makes the loop call Run, even if no function waits. It never blocks.
func (q *Queue) Wake() {
	_, _ = unix.Write(q.wake, []byte{1, 0, 0, 0, 0, 0, 0, 1}) // any number but 0, in either byte order
}

// Run runs the function that waits, if any. Only the loop calls it.
func (q *Queue) Run() {
	q.runs.Add(1)
	var count [8]byte
	_, _ = unix.Read(q.wake, count[:])
	select {
	case f := <-q.requests:
		f()
	default:
	}
}

// End says that the loop runs no more functions: each Do that waits returns. The loop calls it once.
func (q *Queue) End() { close(q.ended) }

func (q *Queue) hasEnded() bool {
	select {
	case <-q.ended:
		return true
	default:
		return false
	}
}

// Close closes the file descriptor. No Do or Wake may come after it.
func (q *Queue) Close() { unix.Close(q.wake) }
