package udp

import (
	"time"

	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// To begin a flow costs as much as ten datagrams do, or more: a flood of new ones, from
// spoofed addresses say, must not keep live flows waiting. So a turn of the loop serves
// all those first, and begins so many flows. What it can't wait for longer, up to a
// bound, for its own turn.
const birthsATurn = 32

// arrival is a message from a client.
type arrival struct {
	key key
	datagram.Train
}

// newcomers are arrivals of no flow yet, in their order.
type newcomers struct {
	births int       // of this turn
	batch  []arrival // just read
	queue  queue     // those before
}

// beginBatch begins the flows of the batch just read, or has them wait.
func (l *loop) beginBatch(now time.Duration) {
	for _, a := range l.newcomers.batch {
		switch {
		case l.newcomers.queue.empty() && l.newcomers.births < birthsATurn:
			l.begin(a, now)
		case !l.newcomers.queue.join(a):
			l.unrouted(route.Overflowed, a.Length())
		}
	}
	clear(l.newcomers.batch)
	l.newcomers.batch = l.newcomers.batch[:0]
}

// beginWaiting begins flows of those that wait, as many as the turn has left.
func (l *loop) beginWaiting(now time.Duration) {
	for !l.newcomers.queue.empty() && l.newcomers.births < birthsATurn {
		for _, a := range l.newcomers.queue.next(birthsATurn - l.newcomers.births) {
			l.begin(a, now)
		}
	}
	l.out.flush()
	l.newcomers.births = 0
}

// beginAll leaves nobody waiting.
func (l *loop) beginAll(now time.Duration) {
	for !l.newcomers.queue.empty() {
		l.beginWaiting(now)
	}
}

// begin takes an arrival on its way, with a flow of its own, or with one that another
// has begun meanwhile.
func (l *loop) begin(a arrival, now time.Duration) {
	more := l.table.flows[a.key] != nil
	if !more {
		l.newcomers.births++
	}
	for i := range a.Length() {
		payload := a.At(i)
		f, verdict := l.table.datagram(a.key, len(payload), now)
		if verdict != route.Forwarded {
			continue
		}
		if more || i > 0 {
			l.prepare(f)
		}
		if !more && i == 0 {
			l.copies.keep(f, payload, a.TOS)
		}
		l.toOrigin(f, payload, a.TOS)
	}
}
