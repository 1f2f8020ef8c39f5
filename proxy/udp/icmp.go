package udp

import (
	"time"

	"anyport/proxy/datagram"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

// queuesErrors reports whether f's socket has an error queue (see datagram.WantErrors). A socket of its own
// does without where there is no other origin: what it can know then is no more than "port
// unreachable", and each flow costs a system call less.
func (f *flow) queuesErrors() bool {
	return f.shared != nil || f.owns() && len(f.route.Origins.Origins) > 1
}

// readErrors empties the error queue of o's socket, which wakes the loop until it is empty. It
// reports whether o still has the socket: a flow that goes elsewhere closes it.
func (l *loop) readErrors(fd int, o owner, now time.Duration) bool {
	var sent [header.SPPSize]byte
	for i := 0; i < datagram.BatchSize && l.owner(fd) == o; i++ {
		e, ok, err := datagram.ReadError(fd, sent[:])
		if err != nil {
			return true
		}
		if !ok {
			continue
		}
		o.counters().Datagrams(route.ToClient, route.OriginError, 1)
		if o.flow != nil {
			l.refused(o.flow, e.Err, now)
		} else {
			l.refusedOn(o.shared, e, now)
		}
	}
	return l.owner(fd) == o
}

// refusedOn takes an ICMP error of a shared socket. The datagram's own SPP header names the flow.
// Where too little came back (RFC 792 asks for no more than 8 bytes of it), the origin is left
// out all the same, and its flows that wait for an answer leave with their next datagram.
func (l *loop) refusedOn(s *shared, e datagram.ICMPError, now time.Duration) {
	if f := l.table.addressee(e.Sent, datagram.EndpointOf(e.To)); f != nil && f.shared == s {
		l.refused(f, e.Err, now)
		return
	}
	if o := s.key.route.Origins.By(e.To); o != nil {
		l.table.refusal(s.key.route, o, e.To.Port(), e.Err, now)
	}
}
