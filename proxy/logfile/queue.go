package logfile

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// queueSize bounds the text that waits while the file takes nothing.
const queueSize = 1 << 20

// retryAfter is how long after a failure the file is tried again if no line comes.
const retryAfter = time.Second

// Queue writes lines to a file from a goroutine of its own: Write never waits, even if the file is a
// pipe that nobody reads. Lines beyond the queue are lost and counted, and a line in the file says how
// many as soon as it takes some again.
type Queue struct {
	out  *Writer
	tell func(lost uint64) []byte // formats that line

	mu      sync.Mutex
	waiting []byte
	dropped uint64 // since the last take

	lost    atomic.Uint64
	untold  uint64 // part of lost that no line has mentioned; only the goroutine uses it
	filled  chan struct{}
	closing chan struct{}
	closed  chan struct{}
}

// NewQueue begins to write to out, which the caller closes. The caller owes one Close.
func NewQueue(out io.Writer, tell func(lost uint64) []byte) *Queue {
	q := &Queue{
		out: NewWriter(out), tell: tell,
		filled: make(chan struct{}, 1), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	go q.run() // Close ends it
	return q
}

// Write takes one or more whole lines. It never waits and never fails, and may be called from any
// goroutine.
func (q *Queue) Write(text []byte) (int, error) {
	q.mu.Lock()
	if len(q.waiting)+len(text) > queueSize {
		q.dropped += uint64(bytes.Count(text, []byte{'\n'}))
	} else {
		q.waiting = append(q.waiting, text...)
	}
	q.mu.Unlock()
	select {
	case q.filled <- struct{}{}:
	default: // the goroutine has a wake-up pending
	}
	return len(text), nil
}

// Lost is the number of lines that did not get into the file so far.
func (q *Queue) Lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost.Load() + q.dropped
}

// Close writes what waits, and returns when that is in the file or after limit. In the second case the
// goroutine hangs in write(2), and ends when that returns or with the process.
func (q *Queue) Close(limit time.Duration) {
	close(q.closing)
	select {
	case <-q.closed:
	case <-time.After(limit):
	}
}

// run is the goroutine: NewQueue starts it, Close ends it.
func (q *Queue) run() {
	defer close(q.closed)
	var spare []byte
	for last := false; !last; {
		var retry <-chan time.Time
		if q.untold > 0 {
			retry = time.After(retryAfter)
		}
		select {
		case <-q.filled:
		case <-retry:
		case <-q.closing:
			last = true
		}
		text, dropped := q.take(spare)
		q.write(text, dropped)
		spare = text[:0]
	}
}

// take takes all that waits, and leaves an empty buffer, spare, in its place.
func (q *Queue) take(spare []byte) (text []byte, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	text, dropped = q.waiting, q.dropped
	q.waiting, q.dropped = spare, 0
	q.lost.Add(dropped)
	return text, dropped
}

// write writes text and, if the file takes it, the line about what was lost before.
func (q *Queue) write(text []byte, dropped uint64) {
	_, _ = q.out.Write(text)
	err := q.out.Flush()
	lost := q.out.Lost()
	q.lost.Add(lost)
	if q.untold += dropped + lost; q.untold == 0 || err != nil {
		return
	}
	_, _ = q.out.Write(q.tell(q.untold))
	if q.out.Flush() == nil {
		q.untold = 0
	}
	_ = q.out.Lost() // the line about lost lines is not counted itself
}
