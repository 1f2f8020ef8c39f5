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

// retryAfter is how long after a failure the file is tried again, if nobody has a line for it.
const retryAfter = time.Second

// Queue writes lines to a file from a goroutine of its own: whoever has a line never waits, also
// where the file is a pipe that nobody reads. Lines beyond the queue are lost and counted, and told
// as soon as the file takes some again.
type Queue struct {
	out  *Writer
	tell func(lost uint64) []byte // a line that says so

	mu      sync.Mutex
	waiting []byte
	dropped uint64 // since the last take

	lost    atomic.Uint64
	untold  uint64 // of these; the goroutine's
	filled  chan struct{}
	closing chan struct{}
	closed  chan struct{}
}

// NewQueue begins to write to out, which is the caller's to close. Who made it owes a Close.
func NewQueue(out io.Writer, tell func(lost uint64) []byte) *Queue {
	q := &Queue{
		out: NewWriter(out), tell: tell,
		filled: make(chan struct{}, 1), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	go q.run() // ended by Close
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
	default: // it is told already
	}
	return len(text), nil
}

// Lost is the number of lines that did not get into the file so far.
func (q *Queue) Lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost.Load() + q.dropped
}

// Close writes what waits, and returns when it is in the file or limit is over. Then the goroutine
// hangs in write(2), and ends with that or with the process.
func (q *Queue) Close(limit time.Duration) {
	close(q.closing)
	select {
	case <-q.closed:
	case <-time.After(limit):
	}
}

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

// take takes all that waits, and leaves an empty buffer in its place.
func (q *Queue) take(spare []byte) (text []byte, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	text, dropped = q.waiting, q.dropped
	q.waiting, q.dropped = spare, 0
	q.lost.Add(dropped)
	return text, dropped
}

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
	_ = q.out.Lost() // the telling itself is not counted
}
