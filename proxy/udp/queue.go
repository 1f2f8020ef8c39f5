package udp

// What a queue holds at most.
const (
	maxWaiting = 4096    // messages
	maxHeld    = 4 << 20 // bytes of them
)

// queue is arrivals that wait, first come, first served, as copies in memory that it uses
// again and again: a flood of new flows leaves the garbage collector nothing to do.
type queue struct {
	all   []arrival // from taken on those that wait
	taken int
	bytes []byte // what all of them point into, in their order
	held  int    // bytes of those that wait
}

func (q *queue) waiting() []arrival { return q.all[q.taken:] }

func (q *queue) empty() bool { return q.taken == len(q.all) }

// join keeps a copy of a, if there is room.
func (q *queue) join(a arrival) bool {
	if len(q.waiting()) == maxWaiting || q.held+len(a.Bytes) > maxHeld {
		return false
	}
	if q.taken > len(q.waiting()) || len(q.bytes) > 2*q.held { // more is dead than alive
		q.closeUp()
	}
	q.bytes = append(q.bytes, a.Bytes...) // what this moves, the others still have where it was
	a.Bytes = q.bytes[len(q.bytes)-len(a.Bytes):]
	q.held += len(a.Bytes)
	q.all = append(q.all, a)
	return true
}

// next takes out up to the first so many, which last until the next join.
func (q *queue) next(most int) []arrival {
	next := q.waiting()
	next = next[:min(most, len(next))]
	q.taken += len(next)
	for _, a := range next {
		q.held -= len(a.Bytes)
	}
	return next
}

// What an empty queue keeps for the next ones.
const (
	spareArrivals = 1024
	spareBytes    = 128 << 10
)

// closeUp moves those that wait to the front.
func (q *queue) closeUp() {
	if q.empty() && (cap(q.all) > spareArrivals || cap(q.bytes) > spareBytes) {
		*q = queue{}
		return
	}
	q.all = q.all[:copy(q.all, q.waiting())]
	q.taken, q.bytes = 0, q.bytes[:0]
	for i := range q.all {
		a := &q.all[i]
		q.bytes = append(q.bytes, a.Bytes...)
		a.Bytes = q.bytes[len(q.bytes)-len(a.Bytes):]
	}
}
