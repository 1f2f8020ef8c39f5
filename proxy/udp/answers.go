package udp

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// readOrigin takes what waits at an origin socket to the clients, up to what there is
// room for. Many sockets are read before the next flush: their replies leave together.
func (l *loop) readOrigin(fd int, o owner, now time.Duration) {
	if l.in.full() {
		l.flush()
	}
	a := o.appetite()
	first, end, err := l.in.read(fd, a.messages())
	a.fed(end-first, l.turn)
	if err != nil && err != unix.EAGAIN {
		o.counters().Datagrams(route.ToClient, route.OriginError, 1) // read, it is gone; the flow lives on
	}
	for i := first; i < end; i++ {
		l.fromOrigin(o, i, now)
	}
	if o.flow != nil && pending(err) {
		l.refused(o.flow, err, now)
	}
}

// fromOrigin takes message i of the batch on its way.
func (l *loop) fromOrigin(o owner, i int, now time.Duration) {
	if l.in.truncated(i) {
		o.counters().Datagrams(route.ToClient, route.Truncated, 1)
		return
	}
	c, _ := l.in.control(i)
	replies := train{l.in.bytes(i), c.size, c.class}
	for at := range replies.length() {
		f, reply := o.flow, replies.at(at)
		if o.shared != nil {
			from, _ := l.in.sender(i)
			if f = l.table.addressee(reply, from); f == nil {
				o.counters().Datagrams(route.ToClient, route.BadHeader, 1)
				continue
			}
		}
		if payload, verdict := l.table.answer(f, reply, now); verdict == route.Forwarded {
			l.toClient(f, payload, c.class, now)
		}
	}
}

// toClient sends a datagram of f's origin on.
func (l *loop) toClient(f *flow, payload []byte, class uint8, now time.Duration) {
	answer, err := l.table.replies.use(f.reply)
	if err != nil {
		l.log.Warn(now, "no socket can answer from dst", "dst", f.dst(), "error", err)
		f.settle(route.ToClient, route.SendFailed, 1, len(payload))
		return
	}
	d := outgoing{fd: answer.fd, flow: f, direction: route.ToClient, payload: payload, to: f.key.client, class: class}
	if answer.raw() {
		d.control = answer.control
		d.header = l.out.scratch(udpHeaderSize)
		putUDPHeader(d.header, f.dst(), f.client(), payload)
		d.to = withoutPort(d.to)
	}
	l.out.add(d)
}
