package udp

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/datagram"
	"anyport/proxy/flow"
	"anyport/proxy/header"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// queuesErrors reports whether f's socket has an error queue (see datagram.WantErrors). A socket of
// its own has none where there is no other origin: it would only learn of errors other than "port
// unreachable", of no use there, for one more system call a flow.
func queuesErrors(f *liveFlow) bool {
	return f.Sockets.shared != nil || f.OwnsSocket() && len(f.Route.Origins().Origins) > 1
}

// readErrors empties the error queue of o's socket, which wakes the loop until it is empty. It
// reports whether o still has the socket: a flow that goes to another origin closes it.
func (l *loop) readErrors(fd int, o owner, now time.Duration) bool {
	var sent [header.SPPSize]byte
	for i := 0; i < datagram.BatchSize && l.ownerOf(fd) == o; i++ {
		e, ok, err := datagram.ReadError(fd, sent[:])
		if err != nil {
			return true
		}
		if !ok {
			if e.Err == unix.EMSGSIZE && o.shared != nil {
				l.noteNarrowPath(now)
			}
			continue
		}
		o.counters().Datagrams(route.ToClient, route.OriginError, 1)
		if o.flow != nil {
			l.originRefused(o.flow, e.Err, now)
		} else {
			l.sharedRefused(o.shared, e, now)
		}
	}
	return l.ownerOf(fd) == o
}

// sharedRefused handles an ICMP error of a shared socket. The SPP header of the datagram that comes
// back names the flow. Where too little comes back (RFC 792 asks for no more than 8 bytes), the
// origin is left out all the same, and its unanswered flows leave it with their next datagram.
func (l *loop) sharedRefused(s *sharedSocket, e datagram.ICMPError, now time.Duration) {
	if f := l.flows.FindBySPP(e.Sent, e.To); f != nil && f.Sockets.shared == s {
		l.originRefused(f, e.Err, now)
		return
	}
	if o := s.key.route.Origins().By(e.To); o != nil {
		l.flows.NoteRefusal(s.key.route, o, e.To.Port(), refusalOf(e.Err), now)
	}
}

// refusalOf tells "port unreachable", which the kernel reports as ECONNREFUSED, from other errors.
func refusalOf(err error) flow.Refusal {
	return flow.Refusal{Err: err, PortClosed: err == unix.ECONNREFUSED}
}

// originRefused handles an ICMP error for a datagram of f: the origin is left out for a while, and f
// goes to another one. Where no other origin takes flows, f stays: its socket remains usable, since
// the error is cleared once it is read.
func (l *loop) originRefused(f *liveFlow, err error, now time.Duration) {
	refusal := refusalOf(err)
	again := l.flows.NoteRefusal(f.Route, f.Origin, f.OriginPort(), refusal, now)
	l.mirrorRefusal(f, refusal)
	first := l.firsts.takeOut(f)
	if f.LeavesOrigin(refusal, again) && l.moveToOtherOrigin(f, now) && f.Stage() == flow.Unanswered {
		l.sendAgain(f, first)
	}
}

// sendRefused is originRefused for the error of a send, in the middle of a flush, where f cannot go
// to another origin: it does so with its next datagram.
func (l *loop) sendRefused(f *liveFlow, err error) {
	refusal := refusalOf(err)
	l.flows.NoteRefusal(f.Route, f.Origin, f.OriginPort(), refusal, l.now())
	l.mirrorRefusal(f, refusal)
}

// mirrorRefusal has the kernel refuse the dst of f to the next clients, where its route wants that.
func (l *loop) mirrorRefusal(f *liveFlow, refusal flow.Refusal) {
	if refusal.PortClosed {
		l.mirrored.Refused(f.Route, config.UDP, f.Dst())
	}
}

// moveToOtherOrigin gives f a socket to another origin, and reports whether there is one. Without
// one f stays as it is.
func (l *loop) moveToOtherOrigin(f *liveFlow, now time.Duration) bool {
	l.out.flush() // what is queued is for the origin that f has now, through its socket
	if !l.flows.HasOtherOrigin(f, now) {
		return false
	}
	l.leaveKernel(f, now)
	// The new socket is opened before the old one is closed: on failure f keeps what it had.
	from, sockets := f.Origin, f.Sockets
	f.Sockets.egress, f.Sockets.shared = nil, nil
	f.Sockets.paths[route.ToOrigin], f.Sockets.reads, f.Sockets.drops = datagram.Path{}, readSize{}, dropCount{}
	if l.connectOrigin(f, []*origin.Origin{from}, now) != route.Admitted {
		f.Origin, f.Sockets = from, sockets
		return false
	}
	l.closeOrigin(&sockets)
	f.Moved(from)
	l.flows.TraceMoved(f)
	return true
}

// sendAgain sends the first datagram of f, which one origin has refused, to the next one, if there
// still is a copy.
func (l *loop) sendAgain(f *liveFlow, first *firstDatagram) {
	if first == nil {
		return
	}
	l.firsts.keep(f, first.payload, first.tos) // the next origin may refuse it as well
	l.toOrigin(f, first.payload, first.tos)
	l.out.flush()
}
