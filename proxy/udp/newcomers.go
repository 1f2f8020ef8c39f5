package udp

import (
	"bytes"
	"slices"
	"time"

	"anyport/proxy/route"
)

// To begin a flow costs as much as ten datagrams do, or more: a flood of new ones, from
// spoofed addresses say, must not keep live flows waiting. So a turn of the loop serves
// all those first, and begins so many flows. What it can't wait for longer, up to a
// bound, for its own turn.
const (
	birthsATurn = 32
	maxWaiting  = 4096    // messages
	maxHeld     = 4 << 20 // bytes of them
)

// arrival is a message from a client.
type arrival struct {
	key key
	train
}

// newcomers are arrivals of no flow yet, in their order.
type newcomers struct {
	births  int       // of this turn
	batch   []arrival // just read
	waiting []arrival // copies of those before
	held    int       // bytes of them
}

// wait keeps a copy of a, if there is room.
func (n *newcomers) wait(a arrival) bool {
	if len(n.waiting) == maxWaiting || n.held+len(a.bytes) > maxHeld {
		return false
	}
	a.bytes = bytes.Clone(a.bytes)
	n.held += len(a.bytes)
	n.waiting = append(n.waiting, a)
	return true
}

// next takes out up to the first so many that have waited.
func (n *newcomers) next(most int) []arrival {
	next := slices.Clone(n.waiting[:min(most, len(n.waiting))])
	n.waiting = slices.Delete(n.waiting, 0, len(next))
	for _, a := range next {
		n.held -= len(a.bytes)
	}
	return next
}

// beginBatch begins the flows of the batch just read, or has them wait.
func (l *loop) beginBatch(now time.Duration) {
	for _, a := range l.newcomers.batch {
		switch {
		case len(l.newcomers.waiting) == 0 && l.newcomers.births < birthsATurn:
			l.begin(a, now)
		case !l.newcomers.wait(a):
			l.unrouted(route.Overflowed, a.length())
		}
	}
	clear(l.newcomers.batch)
	l.newcomers.batch = l.newcomers.batch[:0]
}

// beginWaiting begins flows of those that wait, as many as the turn has left.
func (l *loop) beginWaiting(now time.Duration) {
	for len(l.newcomers.waiting) > 0 && l.newcomers.births < birthsATurn {
		for _, a := range l.newcomers.next(birthsATurn - l.newcomers.births) {
			l.begin(a, now)
		}
	}
	l.out.flush()
	l.newcomers.births = 0
}

// beginAll leaves nobody waiting.
func (l *loop) beginAll(now time.Duration) {
	for len(l.newcomers.waiting) > 0 {
		l.beginWaiting(now)
	}
}

// begin takes an arrival on its way, with a flow of its own, or with one that another
// has begun meanwhile.
func (l *loop) begin(a arrival, now time.Duration) {
	if l.table.flows[a.key] == nil {
		l.newcomers.births++
	}
	for i := range a.length() {
		payload := a.at(i)
		if f, verdict := l.table.datagram(a.key, len(payload), now); verdict == route.Forwarded {
			l.toOrigin(f, payload)
		}
	}
}
