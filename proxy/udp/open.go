package udp

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/flow"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// openFlow begins the flow of k, whose first datagram has those TLVs in its header, if it has one: a place
// in the table, a socket that answers, and one to an origin. Each may be had at the expense of another flow, which is evicted. It returns nil for a flow that is
// refused, which is counted and recorded then.
func (l *loop) openFlow(k flow.Key, tlvs []byte, now time.Duration) *liveFlow {
	l.makeRoom()
	f := l.admit(k, tlvs, now)
	if f == nil {
		return nil
	}
	verdict := l.connect(f, now)
	if (verdict == route.OutOfFiles || verdict == route.OutOfPorts) && l.closeAllFree() {
		verdict = l.connect(f, now)
	}
	if evict := l.flows.EvictFor(f, verdict); evict != nil {
		l.end(evict, route.Evicted, now)
		verdict = l.connect(f, now)
	}
	if verdict != route.Admitted {
		l.flows.Abandon(f, verdict, now)
		return nil
	}
	l.flows.Insert(f)
	return f
}

// admit asks the table for a new flow, and ends those that are evicted for it. A flow is ended, with
// its sockets, before the table goes on: the new one may need what it held.
func (l *loop) admit(k flow.Key, tlvs []byte, now time.Duration) *liveFlow {
	a := flow.Admission[flowSockets]{Key: k, TLVs: tlvs}
	for {
		evict, _ := l.flows.Admit(&a, now)
		if evict == nil {
			return a.Flow
		}
		l.end(evict, route.Evicted, now)
	}
}

// connect opens the sockets of an admitted flow, to its client and to an origin, or neither.
func (l *loop) connect(f *liveFlow, now time.Duration) route.Verdict {
	reply, err := l.replies.acquire(f.Dst())
	if err != nil {
		l.log.Warn(now, "no socket can answer from dst, so the flow is refused", "dst", f.Dst(), "error", err)
		return socketVerdict(err, route.RelayFailed)
	}
	f.Sockets.reply = reply
	verdict := l.connectOrigin(f, nil, now)
	if verdict != route.Admitted {
		l.replies.release(reply)
	}
	return verdict
}

// connectOrigin gives f a socket to the first of its route's origins that can be dialled, those
// tried before left out. Dialling sends nothing: an origin that is down shows later, by an ICMP
// error.
func (l *loop) connectOrigin(f *liveFlow, tried []*origin.Origin, now time.Duration) route.Verdict {
	verdict := route.NoOrigin
	for l.flows.PickOrigin(f, tried, now) {
		err := l.openSocket(f, f.OriginAddr())
		if err == nil {
			return route.Admitted
		}
		l.flows.NoteDialFailed(f, err, now)
		l.log.Warn(now, "cannot dial an origin", "route", f.Route.Name, "origin", f.OriginAddr(), "error", err)
		verdict, tried = socketVerdict(err, route.ConnectFailed), append(tried, f.Origin)
	}
	switch {
	case l.flows.HasFullOrigin(f, tried, now):
		return route.OverOriginConns
	case len(tried) == 0 && l.flows.OriginsUnreachable(f, now):
		l.log.Warn(now, "no origin of a transparent route can be dialled from the client's address", "route", f.Route.Name, "client", f.Client())
		return route.NoneForClient
	}
	return verdict
}

// socketVerdict is the verdict for a socket that could not be opened.
func socketVerdict(err error, otherwise route.Verdict) route.Verdict {
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return route.OutOfFiles
	case errors.Is(err, call.ErrNoPort):
		return route.OutOfPorts
	case errors.Is(err, call.ErrClientPort):
		return route.ClientPortInUse
	}
	return otherwise
}
