package udp

import (
	"slices"

	"golang.org/x/sys/unix"

	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// outbox is the queue of datagrams that the loop is going to send. It sends them in batches, a
// socket at a time, and keeps the order within a flow. It belongs to one loop, and is flushed
// before what its datagrams point to is used again: a batch of received messages, or an fd.
type outbox struct {
	queue   []datagram.Outgoing
	senders []sender // sender of each
	order   []uint64 // fd, peer's port and place in the queue of each, to sort by

	sortedQueue   []datagram.Outgoing // memory for sort
	sortedSenders []sender
	batch         datagram.SendBatch
	slab          []byte // of headers

	refused func(*flow, error) // called for the error of a send to an origin; it must not send; may be nil
}

// sender is the flow that a datagram is of, and its direction.
type sender struct {
	flow      *flow
	direction route.Direction
}

// most is how many datagrams wait at once.
const most = 1024

// add queues d. What it points to must last until the flush.
func (o *outbox) add(f *flow, direction route.Direction, d datagram.Outgoing) {
	if len(o.queue) == most {
		o.flush()
	}
	d.Path = &f.paths[direction]
	o.order = append(o.order, uint64(d.FD)<<32|uint64(d.To.Port)<<16|uint64(len(o.queue)))
	o.queue = append(o.queue, d)
	o.senders = append(o.senders, sender{f, direction})
}

// scratch is room for the header of the next datagram, which lasts until the flush.
func (o *outbox) scratch(n int) []byte {
	if len(o.queue) == most { // now: add would flush the header away
		o.flush()
	}
	start := len(o.slab)
	if start+n > cap(o.slab) { // queued datagrams go on to use the old one
		start, o.slab = 0, make([]byte, 0, max(n, 32<<10))
	}
	o.slab = o.slab[:start+n]
	return o.slab[start : start+n : start+n]
}

// flush sends everything. It never waits: what a socket does not take is dropped and counted. A
// queue would only deliver late what is better lost.
func (o *outbox) flush() {
	if len(o.queue) == 0 {
		return
	}
	if !slices.IsSorted(o.order) {
		o.sort()
	}
	for start, end := 0, 0; start < len(o.queue); start = end {
		for end = start + 1; end < len(o.queue) && o.queue[end].FD == o.queue[start].FD; {
			end++
		}
		o.send(o.queue[start:end], o.senders[start:end])
	}
	clear(o.queue) // flows that have ended must not be kept from the garbage collector
	clear(o.senders)
	o.queue, o.senders, o.order, o.slab = o.queue[:0], o.senders[:0], o.order[:0], o.slab[:0]
}

// sort groups what leaves through one socket, and of that what goes to one port.
func (o *outbox) sort() {
	slices.Sort(o.order)
	o.sortedQueue, o.sortedSenders = o.sortedQueue[:0], o.sortedSenders[:0]
	for _, at := range o.order {
		o.sortedQueue = append(o.sortedQueue, o.queue[uint16(at)])
		o.sortedSenders = append(o.sortedSenders, o.senders[uint16(at)])
	}
	o.queue, o.sortedQueue = o.sortedQueue, o.queue
	o.senders, o.sortedSenders = o.sortedSenders, o.senders
}

// send sends a run of datagrams through their one socket.
func (o *outbox) send(run []datagram.Outgoing, of []sender) {
	for retried := false; len(run) > 0; {
		sent, inMessage, err := o.batch.Send(run)
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
			if f := of[0].flow; !f.queuesErrors() {
				f.counters.Datagrams(route.ToClient, route.OriginError, 1)
				o.met(of[0], err)
			}
			retried = true
		case inMessage > 1 && datagram.TrainRefused(err):
			run[0].Path.RefuseTrains(run[0].Size())
		default:
			o.met(of[0], err)
			settle(run[:inMessage], of[:inMessage], route.SendFailed)
			run, of, retried = run[inMessage:], of[inMessage:], false
		}
	}
}

// met tells of an origin that has refused, or that the host has no way to.
func (o *outbox) met(of sender, err error) {
	if o.refused != nil && of.direction == route.ToOrigin && datagram.MayBeICMP(err) {
		o.refused(of.flow, err)
	}
}

// settle counts datagrams that met the same end.
func settle(run []datagram.Outgoing, of []sender, v route.Verdict) {
	for len(run) > 0 {
		first, n, bytes := of[0], 0, 0
		for ; n < len(run) && of[n].flow == first.flow; n++ {
			bytes += len(run[n].Payload)
		}
		first.flow.settle(first.direction, v, n, bytes)
		run, of = run[n:], of[n:]
	}
}
