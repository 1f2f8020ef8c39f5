package udp

import (
	"slices"

	"golang.org/x/sys/unix"

	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// sendQueue is the datagrams that the loop is going to send. It sends them in batches, a socket at a
// time, and keeps the order within a flow. It belongs to one loop, and is flushed before what its
// datagrams point to is used again: a batch of received messages, or an fd.
type sendQueue struct {
	queue   []datagram.Outgoing
	senders []sender // sender of each
	order   []uint64 // of each: fd (32 bits), peer's port (16), index in the queue (16), to sort by

	sortedQueue   []datagram.Outgoing // memory for sort
	sortedSenders []sender
	batch         datagram.SendBatch
	slab          []byte // headers that the loop writes: see scratch

	originError func(*liveFlow, error) // called for the error of a send to an origin; must not send; may be nil
}

// sender is the flow that a datagram is of, and its direction.
type sender struct {
	flow      *liveFlow
	direction route.Direction
}

// maxQueued is how many datagrams are queued at once: their index must fit into 16 bits of order.
const maxQueued = 1024

// add queues a datagram of f, which leaves with the next flush. What it points to must be valid until
// then.
func (q *sendQueue) add(f *liveFlow, direction route.Direction, d datagram.Outgoing) {
	if len(q.queue) == maxQueued {
		q.flush()
	}
	d.Path = &f.Sockets.paths[direction]
	q.order = append(q.order, uint64(d.FD)<<32|uint64(d.To.Port)<<16|uint64(len(q.queue)))
	q.queue = append(q.queue, d)
	q.senders = append(q.senders, sender{f, direction})
}

// scratch returns memory for the header of the next datagram, valid until the flush.
func (q *sendQueue) scratch(n int) []byte {
	if len(q.queue) == maxQueued { // now: add would flush the header away
		q.flush()
	}
	start := len(q.slab)
	if start+n > cap(q.slab) { // queued datagrams go on to use the old one
		start, q.slab = 0, make([]byte, 0, max(n, smallSlab, min(2*cap(q.slab), bigSlab)))
	}
	q.slab = q.slab[:start+n]
	return q.slab[start : start+n : start+n]
}

// The slab grows to what the headers of a full queue take, if they are not far longer than most.
const smallSlab, bigSlab = 4 << 10, 256 << 10

// headerOf is the header for the next datagram of f, valid until the flush.
func (q *sendQueue) headerOf(f *liveFlow) []byte {
	size := f.HeaderSize()
	if size == 0 {
		return nil
	}
	return f.AppendHeader(q.scratch(size)[:0])
}

// flush sends everything. It never waits: what a socket does not take is dropped and counted. To
// queue it would only deliver late what is better lost (and what the client has repeated by then).
// No fd may be closed, and no received message dropped, before it: see loop.
func (q *sendQueue) flush() {
	if len(q.queue) == 0 {
		return
	}
	if !slices.IsSorted(q.order) {
		q.sort()
	}
	for start, end := 0, 0; start < len(q.queue); start = end {
		for end = start + 1; end < len(q.queue) && q.queue[end].FD == q.queue[start].FD; {
			end++
		}
		q.send(q.queue[start:end], q.senders[start:end])
	}
	clear(q.queue) // flows that have ended must not be kept from the garbage collector
	clear(q.senders)
	q.queue, q.senders, q.order, q.slab = q.queue[:0], q.senders[:0], q.order[:0], q.slab[:0]
}

// sort groups what leaves through one socket, and of that what goes to one port, in the order of
// arrival: neighbours of one flow can leave as a train. Replies for many clients leave through one
// reply socket, and sendmmsg takes only datagrams of one socket.
func (q *sendQueue) sort() {
	slices.Sort(q.order)
	q.sortedQueue, q.sortedSenders = q.sortedQueue[:0], q.sortedSenders[:0]
	for _, at := range q.order {
		q.sortedQueue = append(q.sortedQueue, q.queue[uint16(at)])
		q.sortedSenders = append(q.sortedSenders, q.senders[uint16(at)])
	}
	q.queue, q.sortedQueue = q.sortedQueue, q.queue
	q.senders, q.sortedSenders = q.sortedSenders, q.senders
}

// send sends a run of datagrams through their one socket. Each datagram is settled once, with the fate
// that the kernel has given it; one that it refuses does not hold up those behind it.
func (q *sendQueue) send(run []datagram.Outgoing, of []sender) {
	for retried := false; len(run) > 0; {
		sent, inMessage, err := q.batch.Send(run)
		settle(run[:sent], of[:sent], route.Forwarded)
		run, of = run[sent:], of[sent:]
		switch {
		case err == nil:
			retried = false
		case err == unix.EAGAIN && datagram.GrowSendBuffer(run[0].FD):
		case err == unix.EAGAIN: // the socket is full for all that follow, too
			settle(run, of, route.SendFailed)
			return
		case (datagram.MayBeICMP(err) || err == unix.EMSGSIZE) && !retried:
			// It may be an ICMP error for an earlier datagram, which was pending on the socket and
			// failed this send. Then it is cleared now, and says nothing about this datagram.
			if f := of[0].flow; !queuesErrors(f) {
				f.Counters.Datagrams(route.ToClient, route.OriginError, 1)
				q.reportError(of[0], err)
			}
			retried = true
		case inMessage > 1 && datagram.TrainRefused(err):
			run[0].Path.RefuseTrains(run[0].Size())
		default:
			q.reportError(of[0], err)
			settle(run[:inMessage], of[:inMessage], route.SendFailed)
			run, of, retried = run[inMessage:], of[inMessage:], false
		}
	}
}

// reportError reports an origin that has refused, or that the host has no route to.
func (q *sendQueue) reportError(of sender, err error) {
	if q.originError != nil && of.direction == route.ToOrigin && datagram.MayBeICMP(err) {
		q.originError(of.flow, err)
	}
}

// settle counts datagrams with the same verdict.
func settle(run []datagram.Outgoing, of []sender, v route.Verdict) {
	for len(run) > 0 {
		first, n, bytes := of[0], 0, 0
		for ; n < len(run) && of[n].flow == first.flow; n++ {
			bytes += len(run[n].Payload)
		}
		first.flow.Settle(first.direction, v, n, bytes)
		run, of = run[n:], of[n:]
	}
}
