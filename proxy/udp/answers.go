package udp

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// readOrigin takes what waits at an origin socket to the clients, up to what there is
// room for. Many sockets are read before the next flush: their replies leave together.
func (l *loop) readOrigin(fd int, o owner, now time.Duration) {
	if l.in.Full() {
		l.flush()
	}
	a := o.appetite()
	first, end, err := l.in.Read(fd, a.messages())
	a.fed(end-first, l.turn)
	if err != nil && err != unix.EAGAIN {
		o.counters().Datagrams(route.ToClient, route.OriginError, 1) // read, it is gone; the flow lives on
	}
	for i := first; i < end; i++ {
		l.fromOrigin(o, i, now)
	}
	if o.flow != nil && datagram.MayBeICMP(err) {
		l.refused(o.flow, err, now)
	}
}

// fromOrigin takes message i of the batch on its way.
func (l *loop) fromOrigin(o owner, i int, now time.Duration) {
	if l.in.Truncated(i) {
		o.counters().Datagrams(route.ToClient, route.Truncated, 1)
		return
	}
	c, _ := l.in.Control(i)
	replies := datagram.Train{Bytes: l.in.Bytes(i), Size: c.TrainSize, TOS: c.TOS}
	for at := range replies.Length() {
		f, reply := o.flow, replies.At(at)
		if o.shared != nil {
			from, _ := l.in.Sender(i)
			if f = l.table.addressee(reply, from); f == nil {
				o.counters().Datagrams(route.ToClient, route.BadHeader, 1)
				continue
			}
		}
		if payload, verdict := l.table.answer(f, reply, now); verdict == route.Forwarded {
			l.toClient(f, payload, c.TOS, now)
		}
	}
}

// toClient sends a datagram of f's origin on.
func (l *loop) toClient(f *flow, payload []byte, tos uint8, now time.Duration) {
	answer, err := l.table.replies.use(f.reply)
	if err != nil {
		l.log.Warn(now, "no socket can answer from dst", "dst", f.dst(), "error", err)
		f.settle(route.ToClient, route.SendFailed, 1, len(payload))
		return
	}
	d := datagram.Outgoing{FD: answer.FD, Payload: payload, To: f.key.client, TOS: tos, IPv6: !f.dst().Addr().Is4()}
	if answer.Raw() {
		d.Control = answer.Control
		d.Header = l.out.scratch(datagram.UDPHeaderSize)
		datagram.PutUDPHeader(d.Header, f.dst(), f.client(), payload)
		d.To = d.To.WithoutPort()
	}
	l.out.add(f, route.ToClient, d)
}
