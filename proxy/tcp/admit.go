package tcp

import (
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/route"
)

// accepted is a conn between accept and admission: a socket that no route has taken yet. The
// zero value is none.
type accepted struct {
	fd     int
	client netip.AddrPort // valid unless it is none

	// Of one that was parked at the gate.
	id    route.ID      // which it keeps
	since time.Duration // when it was accepted
}

func (n accepted) exists() bool { return n.client.IsValid() }

// admitConn finds the route of an accepted conn by its dst, asks whether the route admits the
// client, and takes the conn's files. Then its dial begins. A conn that is not admitted gets
// RST, and one without files waits at the gate, undecided.
func (l *loop) admitConn(n accepted) {
	dst, r, v := l.lookUp(n)
	if v == route.Admitted { // files last: a client that is not admitted must not evict others
		if v = l.reserveFiles(n); v != route.Admitted {
			releaseAccepted(r, n)
		}
	}
	switch v {
	case route.Admitted:
		l.beginConn(n, dst, r)
	case route.Undecided: // it comes here again when the gate opens
	default:
		l.refuseConn(n, dst, r, v)
	}
}

// lookUp finds the route that forwards an accepted conn's dst and asks whether it admits the
// client. After Admitted the caller owes the route a Release.
func (l *loop) lookUp(n accepted) (dst netip.AddrPort, r *route.Route, v route.Verdict) {
	dst, err := call.LocalAddr(n.fd) // steering leaves dst as the client wrote it
	if err != nil {
		return dst, nil, route.ResetByClient
	}
	if r = l.routes.Set().Lookup(config.TCP, n.client.Addr(), dst); r == nil {
		return dst, nil, route.NoRoute
	}
	if r.NamesClients() {
		return dst, r, r.AdmitPeer(config.TCP, n.client.Addr())
	}
	return dst, r, r.Admit(config.TCP, n.client.Addr())
}

// releaseAccepted undoes lookUp.
func releaseAccepted(r *route.Route, n accepted) {
	if r.NamesClients() {
		r.ReleasePeer(config.TCP)
	} else {
		r.Unadmit(config.TCP, n.client.Addr())
	}
}

// beginConn makes an admitted conn, whose files are taken, and dials the first origin; with
// accept_proxy only once the client is named (readInbound), after an event.
func (l *loop) beginConn(n accepted, dst netip.AddrPort, r *route.Route) {
	c := &conn{id: n.id, route: r, client: n.client, dst: dst, ends: [2]end{{fd: int32(n.fd)}, {fd: -1}}}
	if r.NamesClients() {
		c.state, c.inbound = naming, &inbound{peer: n.client, dst: dst}
	}
	l.addConn(c)
	r.CountArrival(l.shard, config.TCP)
	l.trace(c, route.StepAccepted)
	if r.Bandwidth != 0 { // the origin's socket gets it when it is opened
		l.limitPacing(c, r.Bandwidth)
	}
	if err := l.watchSocket(c, clientEnd); err != nil {
		l.endConn(c, route.RelayFailed)
		return
	}
	if c.state == naming {
		l.setTimer(c)
		return
	}
	l.dialNext(c, route.NoOrigin)
}

// refuseConn ends an accepted conn that was not admitted; r is nil where no route forwards dst.
func (l *loop) refuseConn(n accepted, dst netip.AddrPort, r *route.Route, v route.Verdict) {
	if v == route.ResetByClient { // before it had a dst: there is nothing to count or record
		l.sockets.Close(int32(n.fd))
		return
	}
	name := ""
	if r != nil {
		name = r.Name
		r.CountArrival(l.shard, config.TCP)
		r.CountEnd(l.shard, config.TCP, v)
	} else {
		counters := l.routes.Unrouted.Shard(l.shard)
		counters.Arrive(config.TCP)
		counters.End(config.TCP, v)
	}
	l.sockets.Reset(int32(n.fd))
	record := newRecord(name, n.client, dst, v, l.wallTime(l.now))
	record.ID = n.id
	if to := l.routes.Recording().To; to != nil { // what is refused is never left out
		to(record)
	}
	if to := l.routes.Trace(); to != nil {
		to(route.Traced{At: time.Now(), Step: route.StepRefused, Record: record})
	}
}
