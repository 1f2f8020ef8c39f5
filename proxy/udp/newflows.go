package udp

import (
	"time"

	"anyport/proxy/datagram"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// newFlowsATurn bounds the flows that one turn of the loop begins, after it has served all live
// ones. Beginning a flow costs as much as ten datagrams or more: a flood of new flows, from forged
// addresses for instance, must not delay live ones. What is left waits for the next turns, up to a
// bound.
const newFlowsATurn = 32

// arrival is a message from a client.
type arrival struct {
	key  flow.Key
	tlvs []byte // of the header that named the client, if there was one; they point before Bytes
	datagram.Train
}

// newFlows is the arrivals of no flow yet, in their order. batch points into the receive batch; what
// waits longer is copied.
type newFlows struct {
	begun   int          // flows of this turn
	left    int          // arrivals that follow in the batch, and may begin flows in this turn
	batch   []arrival    // of the batch just read
	waiting arrivalQueue // those before
}

// beginBatch begins the flows of the batch just read, or queues their arrivals. Once one has to wait,
// all behind it do: a client's datagrams stay in their order.
func (l *loop) beginBatch(now time.Duration) {
	for i, a := range l.newFlows.batch {
		switch {
		case l.newFlows.waiting.empty() && l.newFlows.begun < newFlowsATurn:
			l.newFlows.left = min(len(l.newFlows.batch)-i, newFlowsATurn-l.newFlows.begun) - 1
			l.begin(a, now)
		case !l.newFlows.waiting.push(a):
			l.countUnrouted(route.Backlogged, a.Length())
		}
	}
	clear(l.newFlows.batch)
	l.newFlows.batch = l.newFlows.batch[:0]
	l.endBatch()
}

// endBatch ends a batch of new flows: what was seen of free sockets does not count for the next.
func (l *loop) endBatch() {
	l.newFlows.left = 0
	l.free.batch++
}

// beginWaiting begins flows of queued arrivals, as many as the turn has left. It ends the turn's count.
func (l *loop) beginWaiting(now time.Duration) {
	for !l.newFlows.waiting.empty() && l.newFlows.begun < newFlowsATurn {
		batch := l.newFlows.waiting.pop(newFlowsATurn - l.newFlows.begun)
		for i, a := range batch {
			l.newFlows.left = len(batch) - 1 - i
			l.begin(a, now)
		}
		l.endBatch()
	}
	l.out.flush()
	l.newFlows.begun = 0
}

// beginAllWaiting leaves no arrival queued, nor one that waits for the answer of another host.
func (l *loop) beginAllWaiting(now time.Duration) {
	for !l.newFlows.waiting.empty() {
		l.beginWaiting(now)
	}
	l.settleAll(now)
}

// begin deals with an arrival that had no flow when it was read: it is of one that an arrival before it has
// begun, a knock, of a flow that another host has, or it begins one.
func (l *loop) begin(a arrival, now time.Duration) {
	f := l.flows.Find(a.key)
	if f != nil || !l.isKnock(a) && !l.isElsewhere(a, now) {
		l.forward(f, a, now)
	}
}

// forward forwards an arrival, with its flow f, or one that begins here if f is nil. Each
// datagram of a train asks for the flow: where the first was refused, the next is counted as well.
func (l *loop) forward(f *liveFlow, a arrival, now time.Duration) {
	live := f != nil
	if !live {
		l.newFlows.begun++
	}
	for i := range a.Length() {
		payload := a.At(i)
		if i > 0 { // to send may have ended it
			f = l.flows.Find(a.key)
		}
		if f == nil {
			f = l.openFlow(a.key, a.tlvs, now)
		}
		if f == nil || l.flows.FromClient(f, len(payload), now) != route.Forwarded {
			continue
		}
		if live || i > 0 {
			l.expectBursts(f)
			l.show(f)
		} else {
			l.firsts.keep(f, payload, a.TOS)
		}
		l.toOrigin(f, payload, a.TOS)
	}
}
