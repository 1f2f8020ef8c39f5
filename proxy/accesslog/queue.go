package accesslog

import (
	"sync"

	"anyport/proxy/route"
)

// queueMost is how many records may wait for the writer: about 3 MiB. Beyond a quarter of them it writes
// at once.
const queueMost = 8192

// queue is the records that wait for the writer. The event loops add to it under a mutex; no channel, since
// that would wake the writer for each record.
type queue struct {
	some chan struct{} // the queue was empty, and is not any more
	many chan struct{} // a quarter of it is in use

	mu      sync.Mutex
	waiting []route.Record
	lost    uint64 // that found it full, since take
}

func newQueue() queue {
	return queue{some: make(chan struct{}, 1), many: make(chan struct{}, 1)}
}

// add queues a record, or counts it as lost.
func (q *queue) add(r *route.Record) {
	q.mu.Lock()
	before := len(q.waiting)
	if before < queueMost {
		q.waiting = append(q.waiting, *r)
	} else {
		q.lost++
	}
	q.mu.Unlock()
	switch before {
	case 0:
		wake(q.some)
	case queueMost / 4:
		wake(q.many)
	}
}

// take takes all that waits, and leaves an empty slice, spare, in its place.
func (q *queue) take(spare []route.Record) (waiting []route.Record, lost uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting, lost = q.waiting, q.lost
	q.waiting, q.lost = spare[:0], 0
	return waiting, lost
}

// full is how many records have found it full since take.
func (q *queue) full() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

func wake(writer chan<- struct{}) {
	select {
	case writer <- struct{}{}:
	default: // one is under way already
	}
}
