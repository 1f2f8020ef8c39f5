// Package mailbox lets other goroutines have an event loop do things: what they ask
// is done by the loop itself, between two events, so that what belongs to the loop
// needs no lock.
package mailbox

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Queue holds the orders of one loop.
type Queue struct {
	wake   int // an eventfd: readable while an order waits
	orders chan func()
	ended  chan struct{}
	runs   atomic.Uint64 // calls of Run
}

// New makes a queue; who has it owes a Close.
func New() (*Queue, error) {
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("opening an eventfd: %w", err)
	}
	return &Queue{wake: wake, orders: make(chan func(), 1), ended: make(chan struct{})}, nil
}

// FD is what the loop watches: when it can be read, the loop shall call Run.
func (q *Queue) FD() int { return q.wake }

// Do has the loop run order, and returns once it has. It is false where the loop
// has ended first.
func (q *Queue) Do(order func()) bool {
	done := make(chan struct{})
	select {
	case q.orders <- func() { order(); close(done) }:
	case <-q.ended:
		return false
	}
	q.Wake()
	select {
	case <-done:
		return true
	case <-q.ended: // maybe by this very order
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

// Wake has the loop call Run, though no order waits. It never blocks.
func (q *Queue) Wake() {
	_, _ = unix.Write(q.wake, []byte{1, 0, 0, 0, 0, 0, 0, 1}) // any number but 0, in either byte order
}

// Run runs the order that waits. The loop alone calls it.
func (q *Queue) Run() {
	q.runs.Add(1)
	var count [8]byte
	_, _ = unix.Read(q.wake, count[:])
	select {
	case order := <-q.orders:
		order()
	default:
	}
}

// End says that the loop runs no more orders. The loop calls it once.
func (q *Queue) End() { close(q.ended) }

func (q *Queue) hasEnded() bool {
	select {
	case <-q.ended:
		return true
	default:
		return false
	}
}

// Close closes the file descriptor, once nobody calls Do any more.
func (q *Queue) Close() { unix.Close(q.wake) }
