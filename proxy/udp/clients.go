package udp

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// batchesATurn is how many batches of the listener one turn reads at most: about as many as arrive
// while it begins its share of new flows.
const batchesATurn = 8

// readClients forwards what is queued on the listener: of each batch first what is of live flows. A
// listener with more than its share is read on in the next turn: epoll reports it again.
func (l *loop) readClients(now time.Duration) {
	for range batchesATurn {
		_, end, err := l.in.Read(l.listener, datagram.BatchSize)
		if err != nil && err != unix.EAGAIN {
			l.log.Warn(now, "cannot read from the listener", "error", err)
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

// fromClient forwards message i of the batch, if it is of a live flow. Where it has no flow yet, it is
// left to beginBatch; where it is a reply to an egress address, it goes to a client.
func (l *loop) fromClient(i int, now time.Duration) {
	client, known := l.in.Sender(i)
	c, ok := l.in.Control(i)
	switch {
	case !known || !ok:
		l.log.Warn(now, "dropped a datagram without its dst: the listener needs IP_RECVORIGDSTADDR and IPV6_RECVORIGDSTADDR")
		return
	case l.in.Truncated(i):
		l.countUnrouted(route.Truncated, 1)
		return
	}
	a := arrival{key: flow.Key{Client: client, Dst: c.Dst}, Train: datagram.Train{Bytes: l.in.Bytes(i), Size: c.TrainSize, TOS: c.TOS}}
	f := l.flows.Find(a.key)
	if f == nil {
		if f = l.egress.flows[a.key]; f != nil {
			l.fromEgress(f, a, now)
			return
		}
		if r := l.flows.Naming(client, c.Dst); r != nil {
			l.fromPeer(r, a, now)
			return
		}
		l.newFlows.batch = append(l.newFlows.batch, a)
		return
	}
	l.fromLiveFlow(f, a, now)
}

// fromPeer forwards what a peer has sent for clients that it names. Each datagram has a header of its
// own, so those of a train may be of different flows.
func (l *loop) fromPeer(r *route.Route, a arrival, now time.Duration) {
	for i := range a.Length() {
		d, ok := l.flows.Named(r, a.key.Client, a.key.Dst, a.At(i), now)
		if !ok {
			continue
		}
		single := arrival{key: d.Key, tlvs: d.TLVs, Train: datagram.Train{Bytes: d.Payload, TOS: a.TOS}}
		if f := l.flows.Find(d.Key); f != nil {
			l.fromLiveFlow(f, single, now)
		} else {
			l.newFlows.batch = append(l.newFlows.batch, single)
		}
	}
}

// fromLiveFlow forwards what f's client has sent.
func (l *loop) fromLiveFlow(f *liveFlow, a arrival, now time.Duration) {
	if l.flows.OriginRefuses(f, now) {
		l.moveToOtherOrigin(f, now) // the client repeats what this origin has lost
	}
	l.expectBursts(f)
	l.show(f)
	for i := range a.Length() {
		payload := a.At(i)
		if l.flows.FromClient(f, len(payload), now) == route.Forwarded {
			l.toOrigin(f, payload, a.TOS)
			l.noteFast(f, now)
		}
	}
}

// fromEgress forwards what f's origin has sent to the egress address of f: it is steered to the
// listener, too.
func (l *loop) fromEgress(f *liveFlow, a arrival, now time.Duration) {
	for i := range a.Length() {
		if payload, verdict := l.flows.FromOrigin(f, a.At(i), now); verdict == route.Forwarded {
			l.toClient(f, payload, a.TOS, now)
			l.noteFast(f, now)
		}
	}
}

// toOrigin queues a datagram of f's client.
func (l *loop) toOrigin(f *liveFlow, payload []byte, tos uint8) {
	var d datagram.Outgoing
	if f.Sockets.egress != nil {
		d = l.egress.outgoing(f, payload, &l.out)
	} else {
		d = datagram.Outgoing{FD: int(f.Sockets.fd), Header: l.out.headerOf(f), Payload: payload}
	}
	if f.Sockets.shared != nil {
		d.Shared, d.To = true, call.EndpointOf(f.OriginAddr())
	}
	d.TOS, d.IPv6 = tos, !f.Origin.Addr.Is4()
	l.out.add(f, route.ToOrigin, d)
	if f.HeaderOnce() { // whether the next datagram needs the header, too, shows when this one is sent
		l.out.flush()
	}
}

// flush sends what is queued, and then drops the messages that it points to.
func (l *loop) flush() {
	l.out.flush()
	l.in.Reset()
}

// countUnrouted counts datagrams whose route is not known.
func (l *loop) countUnrouted(v route.Verdict, n int) {
	l.unrouted.Datagrams(route.ToOrigin, v, n)
}
