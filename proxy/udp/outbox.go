package udp

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// outgoing is a datagram on its way: header and payload leave as one, uncopied.
type outgoing struct {
	fd              int
	flow            *flow
	direction       route.Direction
	header, payload []byte
	to              *sockaddr // nil on a connected socket
	control         []byte    // names the source where a raw socket answers
}

// outbox holds what waits to be sent, and sends it in batches, a socket at a
// time. The order within a flow is kept.
type outbox struct {
	queue    []outgoing
	messages [batch]mmsghdr
	iovecs   [batch][2]unix.Iovec
}

// add queues d. What it points to must last until the flush.
func (o *outbox) add(d outgoing) {
	if len(o.queue) == batch {
		o.flush()
	}
	o.queue = append(o.queue, d)
}

// flush sends everything. It never waits: what a socket does not take is dropped
// and counted, for a queue would only make late datagrams of lost ones.
func (o *outbox) flush() {
	slices.SortStableFunc(o.queue, func(a, b outgoing) int { return a.fd - b.fd })
	for rest := o.queue; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].fd == rest[0].fd {
			n++
		}
		o.send(rest[:n])
		rest = rest[n:]
	}
	clear(o.queue)
	o.queue = o.queue[:0]
}

// send sends a run of datagrams through their one socket.
func (o *outbox) send(run []outgoing) {
	for retried := false; len(run) > 0; {
		n, err := sendmmsg(run[0].fd, o.prepare(run))
		settle(run[:n], route.Forwarded)
		run = run[n:]
		switch {
		case err == nil:
			retried = false
		case err == unix.EAGAIN: // full: the next one would find it so too
			settle(run, route.SendFailed)
			return
		case pending(err) && !retried:
			// An ICMP error of an earlier datagram stood on the socket and ate this send.
			// It is gone now, and means nothing for this datagram.
			run[0].flow.counters.Datagrams(route.ToClient, route.OriginError, 1)
			retried = true
		default:
			settle(run[:1], route.SendFailed)
			run, retried = run[1:], false
		}
	}
}

// prepare lays out the run for the kernel.
func (o *outbox) prepare(run []outgoing) []mmsghdr {
	for i := range run {
		d, m, v := &run[i], &o.messages[i], &o.iovecs[i]
		*m = mmsghdr{}
		v[0].Base, v[1].Base = unsafe.SliceData(d.header), unsafe.SliceData(d.payload)
		v[0].SetLen(len(d.header))
		v[1].SetLen(len(d.payload))
		m.Iov = &v[0]
		m.SetIovlen(len(v))
		if d.to != nil {
			m.Name, m.Namelen = &d.to.bytes[0], d.to.length
		}
		if len(d.control) > 0 {
			m.Control = &d.control[0]
			m.SetControllen(len(d.control))
		}
	}
	return o.messages[:len(run)]
}

func settle(run []outgoing, v route.Verdict) {
	for i := range run {
		run[i].flow.settle(run[i].direction, v, len(run[i].payload))
	}
}

// pending reports whether err can be an ICMP error that an earlier datagram on a
// connected socket caused (the fatal ones of icmp(7), which a plain socket gets).
func pending(err error) bool {
	switch err {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENONET, unix.ENOPROTOOPT:
		return true
	}
	return false
}
