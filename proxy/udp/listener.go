package udp

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// batchesATurn is how many batches of the listener one turn takes at most: as many as
// come in while it begins its share of flows.
const batchesATurn = 8

// readClients takes what waits on the listener to the origins: of each batch first what
// is of live flows.
func (l *loop) readClients(now time.Duration) {
	for range batchesATurn {
		_, end, err := l.in.Read(l.listener, datagram.BatchSize)
		if err != nil && err != unix.EAGAIN {
			l.log.Warn(now, "reading from the listener", "error", err)
		}
		for i := range end {
			l.fromClient(i, now)
		}
		l.out.flush()
		l.beginBatch(now)
		l.flush()
		if end < datagram.BatchSize {
			return
		}
	}
}

// fromClient takes message i of the batch on its way, unless its flow is yet to begin.
func (l *loop) fromClient(i int, now time.Duration) {
	client, known := l.in.Sender(i)
	c, ok := l.in.Control(i)
	l.countDropped(c.Drops)
	switch {
	case !known || !ok:
		l.log.Warn(now, "a datagram without its dst: the listener needs IP_RECVORIGDSTADDR and IPV6_RECVORIGDSTADDR")
		return
	case l.in.Truncated(i):
		l.unrouted(route.Truncated, 1)
		return
	}
	a := arrival{key{client, c.Dst}, datagram.Train{Bytes: l.in.Bytes(i), Size: c.TrainSize, TOS: c.TOS}}
	f := l.table.flows[a.key]
	if f == nil {
		if f = l.egress.flows[a.key]; f != nil {
			l.comeBack(f, a, now)
			return
		}
		l.newcomers.batch = append(l.newcomers.batch, a)
		return
	}
	if l.table.forsaken(f, now) {
		l.move(f, now) // what this origin has lost, the client sends again
	}
	l.prepare(f)
	for i := range a.Length() {
		payload := a.At(i)
		if l.table.request(f, len(payload), now) == route.Forwarded {
			l.toOrigin(f, payload, a.TOS)
		}
	}
}

// comeBack takes what f's origin has sent to its exit on its way.
func (l *loop) comeBack(f *flow, a arrival, now time.Duration) {
	for i := range a.Length() {
		if payload, verdict := l.table.answer(f, a.At(i), now); verdict == route.Forwarded {
			l.toClient(f, payload, a.TOS, now)
		}
	}
}

// toOrigin sends a datagram of f's client on.
func (l *loop) toOrigin(f *flow, payload []byte, tos uint8) {
	d := datagram.Outgoing{FD: f.fd, Header: f.header, Payload: payload}
	switch {
	case f.shared != nil:
		d.Shared, d.To = true, datagram.EndpointOf(f.originAddr())
	case f.exit != nil:
		d = l.egress.outgoing(f, payload, &l.out)
	}
	d.TOS, d.IPv6 = tos, !f.origin.Addr.Is4()
	l.out.add(f, route.ToOrigin, d)
	if f.headerOnce { // whether the next datagram needs it too shows when this one is sent
		l.out.flush()
	}
}

// flush sends what waits, and makes room for more.
func (l *loop) flush() {
	l.out.flush()
	l.in.Reset()
}

// countDropped counts what the kernel dropped since the listener last said so.
// It says so beside a datagram, and not before the first loss.
func (l *loop) countDropped(drops uint32) {
	if drops == 0 || drops == l.dropped {
		return
	}
	l.unrouted(route.Overflowed, int(drops-l.dropped))
	l.dropped = drops
}

func (l *loop) unrouted(v route.Verdict, n int) {
	l.table.routes.Unrouted.Shard(l.table.shard).Datagrams(route.ToOrigin, v, n)
}
