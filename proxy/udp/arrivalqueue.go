package udp

import "slices"

// What an arrivalQueue holds at most.
const (
	maxWaiting = 4096    // messages
	maxHeld    = 4 << 20 // bytes of them
)

// arrivalQueue is arrivals that wait, first come, first served, as copies in memory that it uses
// again and again: a flood of new flows leaves the garbage collector nothing to do. It belongs to
// one loop.
type arrivalQueue struct {
	all   []arrival // those from index taken on are queued
	taken int
	bytes []byte // what all of them point into, in their order
	held  int    // bytes of those that are queued
}

func (q *arrivalQueue) queued() []arrival { return q.all[q.taken:] }

func (q *arrivalQueue) empty() bool { return q.taken == len(q.all) }

// push queues a copy of a, if there is room.
func (q *arrivalQueue) push(a arrival) bool {
	if len(q.queued()) == maxWaiting || q.held+len(a.Bytes) > maxHeld {
		return false
	}
	if q.taken > len(q.queued()) || len(q.bytes) > 2*q.held { // more is used up than queued
		q.compact()
	}
	q.bytes = append(q.bytes, a.Bytes...) // where this moves the bytes, queued arrivals keep the old memory
	a.Bytes = q.bytes[len(q.bytes)-len(a.Bytes):]
	a.tlvs = slices.Clone(a.tlvs) // few peers send any
	q.held += len(a.Bytes)
	q.all = append(q.all, a)
	return true
}

// pop takes out the first arrivals, at most this number. They are valid until the next push.
func (q *arrivalQueue) pop(most int) []arrival {
	next := q.queued()
	next = next[:min(most, len(next))]
	q.taken += len(next)
	for _, a := range next {
		q.held -= len(a.Bytes)
	}
	return next
}

// What an empty queue keeps of its memory.
const (
	keptArrivals = 1024
	keptBytes    = 128 << 10
)

// compact moves queued arrivals to the front of their memory, in which each keeps its bytes in order:
// so no copy overwrites what is still to be copied. After a flood it lets large memory go.
func (q *arrivalQueue) compact() {
	if q.empty() && (cap(q.all) > keptArrivals || cap(q.bytes) > keptBytes) {
		*q = arrivalQueue{}
		return
	}
	q.all = q.all[:copy(q.all, q.queued())]
	q.taken, q.bytes = 0, q.bytes[:0]
	for i := range q.all {
		a := &q.all[i]
		q.bytes = append(q.bytes, a.Bytes...)
		a.Bytes = q.bytes[len(q.bytes)-len(a.Bytes):]
	}
}
