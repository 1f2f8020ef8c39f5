package udp

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// readOrigin forwards what is queued on an origin socket to the clients, as much as the batch has
// room for. Many sockets are read before the next flush: their replies leave together.
func (l *loop) readOrigin(fd int, o owner, now time.Duration) {
	if l.in.Full() {
		l.flush()
	}
	reads := o.reads()
	first, end, err := l.in.Read(fd, reads.messages())
	reads.adapt(end-first, l.turn)
	if err != nil && err != unix.EAGAIN {
		o.counters().Datagrams(route.ToClient, route.OriginError, 1) // reading it has cleared it; the flow lives on
	}
	for i := first; i < end; i++ {
		l.fromOrigin(o, i, now)
	}
	if o.flow != nil && datagram.MayBeICMP(err) {
		l.originRefused(o.flow, err, now)
	}
}

// fromOrigin forwards message i of the batch. On a shared socket each reply names its flow by its own
// SPP header, and counts as bad where the sender is not that flow's origin.
func (l *loop) fromOrigin(o owner, i int, now time.Duration) {
	if l.in.Truncated(i) {
		o.counters().Datagrams(route.ToClient, route.Truncated, 1)
		return
	}
	c, _ := l.in.Control(i)
	if lost := o.drops().since(c.Drops); lost > 0 {
		o.counters().Datagrams(route.ToClient, route.Overflowed, int(lost))
	}
	replies := datagram.Train{Bytes: l.in.Bytes(i), Size: c.TrainSize, TOS: c.TOS}
	for at := range replies.Length() {
		f, reply := o.flow, replies.At(at)
		if o.shared != nil {
			from, _ := l.in.Sender(i)
			if f = l.flows.FindBySPP(reply, from.AddrPort()); f == nil || f.Sockets.shared == nil {
				o.counters().Datagrams(route.ToClient, route.BadHeader, 1)
				continue
			}
		}
		if payload, verdict := l.flows.FromOrigin(f, reply, now); verdict == route.Forwarded {
			l.toClient(f, payload, c.TOS, now)
			l.noteFast(f, now)
		}
	}
}

// toClient queues a datagram of f's origin. It leaves from the dst, or not at all: the client would not
// take it from another address. A raw socket needs a UDP header, which is written here.
func (l *loop) toClient(f *liveFlow, payload []byte, tos uint8, now time.Duration) {
	from, err := l.replies.use(f.Sockets.reply)
	if err != nil {
		l.log.Warn(now, "no socket can answer from dst", "dst", f.Dst(), "error", err)
		f.Settle(route.ToClient, route.SendFailed, 1, len(payload))
		return
	}
	d := datagram.Outgoing{FD: from.FD, Payload: payload, To: f.Key.ReplyTo(), TOS: tos, IPv6: tos != 0 && !f.Dst().Addr().Is4()}
	if from.Raw() {
		d.Control = from.Control
		d.Header = l.out.scratch(datagram.UDPHeaderSize)
		datagram.PutUDPHeader(d.Header, f.Dst(), d.To.AddrPort(), payload)
		d.To = datagram.RawPeer(d.To)
	}
	l.out.add(f, route.ToClient, d)
}

// readSize is how many messages the next read of an origin socket asks for. A read that finds fewer
// than it asks for costs one more look of the kernel at an empty queue, and most sockets have one
// message at a time.
type readSize struct {
	most  uint8
	large bool   // the socket is prepared for bursts: see expectBursts
	turn  uint32 // of the last read
}

func (r *readSize) messages() int { return max(1, int(r.most)) }

// adapt notes that a read in this turn found n messages. A socket that returned as many as were asked
// for, and was ready in the turn before, too, has more.
func (r *readSize) adapt(n int, turn uint32) {
	switch {
	case n <= 1 && r.most > 1:
		r.most = 1
	case n == r.messages() && r.turn == turn-1:
		r.most = uint8(min(4*n, datagram.BatchSize))
	}
	r.turn = turn
}
