package udp

import (
	"slices"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// outgoing is a datagram on its way: header and payload leave as one, uncopied.
type outgoing struct {
	fd              int
	flow            *flow
	direction       route.Direction
	header, payload []byte
	to              endpoint // zero on a connected socket
	class           uint8    // see wantClass
	control         []byte   // names the source where a raw socket answers
}

func (d *outgoing) size() int { return len(d.header) + len(d.payload) }

// outbox holds what waits to be sent, and sends it in batches, a socket at a
// time. The order within a flow is kept.
type outbox struct {
	queue []outgoing
	order []uint64 // fd, peer's port and place in the queue of each, to sort by
	run   []outgoing
	mail  mail
	slab  []byte // of headers

	refused func(*flow, error) // told of what a send to an origin has met; it must not send; may be nil
}

// most is how many datagrams wait at once.
const most = 1024

// add queues d. What it points to must last until the flush.
func (o *outbox) add(d outgoing) {
	if len(o.queue) == most {
		o.flush()
	}
	o.order = append(o.order, uint64(d.fd)<<32|uint64(d.to.port)<<16|uint64(len(o.queue)))
	o.queue = append(o.queue, d)
}

// scratch is room for the header of the next datagram, which lasts until the flush.
func (o *outbox) scratch(n int) []byte {
	if len(o.queue) == most { // now, for add would flush the header away
		o.flush()
	}
	start := len(o.slab)
	if start+n > cap(o.slab) { // what waits goes on to use the old one
		start, o.slab = 0, make([]byte, 0, max(n, 32<<10))
	}
	o.slab = o.slab[:start+n]
	return o.slab[start : start+n : start+n]
}

// flush sends everything. It never waits: what a socket does not take is dropped
// and counted, for a queue would only make late datagrams of lost ones.
func (o *outbox) flush() {
	if len(o.queue) == 0 {
		return
	}
	if !slices.IsSorted(o.order) {
		o.sort()
	}
	for rest := o.queue; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].fd == rest[0].fd {
			n++
		}
		o.send(rest[:n])
		rest = rest[n:]
	}
	clear(o.queue) // who has ended is not held
	o.queue, o.order, o.slab = o.queue[:0], o.order[:0], o.slab[:0]
}

// sort brings together what leaves through one socket, and of that what goes to one peer.
func (o *outbox) sort() {
	slices.Sort(o.order)
	o.run = o.run[:0]
	for _, at := range o.order {
		o.run = append(o.run, o.queue[uint16(at)])
	}
	o.queue, o.run = o.run, o.queue
}

// send sends a run of datagrams through their one socket.
func (o *outbox) send(run []outgoing) {
	for retried := false; len(run) > 0; {
		sent, first, err := o.mail.post(run)
		settle(run[:sent], route.Forwarded)
		run = run[sent:]
		switch {
		case err == nil:
			retried = false
		case err == unix.EAGAIN && widen(run[0].fd):
		case err == unix.EAGAIN: // full: the next one would find it so too
			settle(run, route.SendFailed)
			return
		case (pending(err) || err == unix.EMSGSIZE) && !retried:
			// It may be an ICMP error of an earlier datagram that stood on the socket and ate
			// this send. Then it is gone now, and means nothing for this datagram.
			if !run[0].flow.queuesErrors() {
				run[0].flow.counters.Datagrams(route.ToClient, route.OriginError, 1)
				o.met(&run[0], err)
			}
			retried = true
		case first > 1 && noTrain(err):
			run[0].flow.parted(run[0].direction, run[0].size())
		default:
			o.met(&run[0], err)
			settle(run[:first], route.SendFailed)
			run, retried = run[first:], false
		}
	}
}

// sendBuffer is room for what one batch may bring.
const sendBuffer = 4 << 20

// widen gives a socket that is full a larger send buffer, and reports whether it has
// got one: the usual holds three long trains, which a device may take its time over.
// That only few sockets ever need it is why they don't begin with it.
func widen(fd int) bool {
	before, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil || before >= sendBuffer {
		return false
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		// Without CAP_NET_ADMIN as much as net.core.wmem_max lets through.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	after, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	return err == nil && after > before
}

// met tells of an origin that has refused, or that the host has no way to.
func (o *outbox) met(d *outgoing, err error) {
	if o.refused != nil && d.direction == route.ToOrigin && pending(err) {
		o.refused(d.flow, err)
	}
}

// settle counts datagrams that met the same end.
func settle(run []outgoing, v route.Verdict) {
	for len(run) > 0 {
		f, direction, n, bytes := run[0].flow, run[0].direction, 0, 0
		for ; n < len(run) && run[n].flow == f; n++ {
			bytes += len(run[n].payload)
		}
		f.settle(direction, v, n, bytes)
		run = run[n:]
	}
}

// pending reports whether err can be an ICMP error that an earlier datagram of an origin socket
// caused: those of icmp(7), and of icmpv6_err_convert in the kernel's net/ipv6/icmp.c.
func pending(err error) bool {
	switch err {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENONET, unix.ENOPROTOOPT, unix.EACCES:
		return true
	}
	return false
}

// noTrain reports whether err can say that a train is not possible, while its datagrams
// may be: the device can't (EIO), or each is longer than the path takes unfragmented
// (EMSGSIZE, on older kernels EINVAL).
func noTrain(err error) bool {
	return err == unix.EIO || err == unix.EINVAL || err == unix.EMSGSIZE
}
