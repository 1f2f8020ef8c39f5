package tcp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/route"
	"anyport/proxy/tcp/socket"
)

// acceptMost bounds what one turn accepts, so that live conns have theirs and
// loops that share a listener share its conns.
const acceptMost = 16

// acceptFrom takes conns from a listener that has some, and then goes to the end of the
// line. Of the loops that share a listener the kernel wakes the first that waits:
// always the same for conns that come one by one, until it had them all.
func (l *loop) acceptFrom(listener int) error {
	dry, err := l.acceptBatch(listener)
	if err != nil || !dry || !l.sharesListener {
		return err
	}
	l.unwatchListener(listener)
	if err := l.watchListener(listener); err != nil {
		l.shutGate(err)
	}
	return nil
}

// acceptBatch takes conns from the queue. dry says that it is empty; a listener that
// can't be accepted from is an error, a conn that can't be had is not.
func (l *loop) acceptBatch(listener int) (dry bool, err error) {
	for i := 0; i < acceptMost && !l.gate.shut; i++ {
		fd, client, err := call.Accept(listener)
		switch {
		case err == nil:
			if l.unprepared[listener] {
				_ = socket.SetOptions(fd)
			}
			l.admitConn(accepted{fd, client})
		case errors.Is(err, unix.EAGAIN):
			delete(l.unprepared, listener)
			l.gate.shortSince = 0
			return true, nil
		case scarce(err):
			l.shutGate(err)
			return false, nil
		case errors.Is(err, unix.EBADF) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSOCK):
			return true, fmt.Errorf("accept on listener fd %d: %w", listener, err)
		}
		// Any other error is of the conn that was in the queue (accept(2)).
	}
	return false, nil
}

// scarce says that the process or the host has none left of something.
func scarce(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admitConn gives a new conn to its route, refuses it, or has it wait at the door.
func (l *loop) admitConn(n accepted) {
	dst, r, v := l.routeFor(n)
	if v == route.Admitted {
		if v = l.reserveFiles(n); v != route.Admitted {
			r.Release(config.TCP, n.client.Addr())
		}
	}
	if v != route.Undecided {
		l.settleNewcomer(n, dst, r, v)
	}
}

// routeFor finds the route of a new conn and asks whether that admits it. Who is told
// Admitted owes the route a Release.
func (l *loop) routeFor(n accepted) (dst netip.AddrPort, r *route.Route, v route.Verdict) {
	dst, err := call.LocalAddr(n.fd)
	if err != nil {
		return dst, nil, route.ResetByClient
	}
	if r = l.routes.Set().Lookup(config.TCP, dst); r == nil {
		return dst, nil, route.NoRoute
	}
	return dst, r, r.Admit(config.TCP, n.client.Addr())
}

// settleNewcomer begins a conn whose files are taken, or ends it before it has begun.
func (l *loop) settleNewcomer(n accepted, dst netip.AddrPort, r *route.Route, v route.Verdict) {
	switch {
	case v == route.ResetByClient: // gone already
		l.sockets.Close(int32(n.fd))
	case v != route.Admitted:
		l.refuseConn(n, dst, r, v)
	default:
		c := &conn{route: r, client: n.client, dst: dst, ends: [2]end{{fd: int32(n.fd)}, {fd: -1}}}
		l.addConn(c)
		if err := l.watchSocket(c, clientEnd); err != nil {
			l.endConn(c, route.RelayFailed)
			return
		}
		l.dialNext(c, route.NoOrigin)
	}
}

func newRecord(name string, client, dst netip.AddrPort, v route.Verdict, began time.Time) route.Record {
	return route.Record{Begun: began, Protocol: config.TCP, Route: name, Client: client, Dst: dst, Verdict: v}
}

// refuseConn ends a new conn that no route has taken in.
func (l *loop) refuseConn(n accepted, dst netip.AddrPort, r *route.Route, v route.Verdict) {
	name, stats := "", l.routes.Unrouted
	if r != nil {
		name, stats = r.Name, r.Stats
	}
	stats.Shard(l.shard).End(config.TCP, v)
	l.sockets.Reset(int32(n.fd))
	l.record(newRecord(name, n.client, dst, v, l.wallTime(l.now)))
}
