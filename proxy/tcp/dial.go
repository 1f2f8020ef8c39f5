package tcp

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/header"
	"anyport/proxy/route"
	"anyport/proxy/tcp/socket"
)

// dialNext asks the route's origins in turn, until one may answer. Where none is
// left, v is the verdict on the conn.
func (l *loop) dialNext(c *conn, v route.Verdict) {
	for {
		c.origin = c.route.Origins.Pick(c.client.Addr(), c.tried)
		if c.origin == nil {
			if len(c.tried) > 0 && !c.sawOtherFailure {
				l.mirror.Refused(c.route, config.TCP, c.dst)
			}
			l.endConn(c, v)
			return
		}
		c.origin.Begin()
		err := l.dialPicked(c)
		if err == nil {
			l.setTimer(c)
			return
		}
		l.log.Debug("dial", "route", c.route.Name, "origin", c.origin.Text, "error", err)
		if scarce(err) { // in the whole host, for the conn has taken its files
			l.shutGate(err)
			l.endConn(c, route.OutOfFiles)
			return
		}
		l.giveUpOrigin(c, errors.Is(err, unix.ECONNREFUSED))
		if v = route.ConnectFailed; errors.Is(err, call.ErrNoPort) {
			v = route.OutOfPorts
		}
	}
}

// dialPicked begins to dial the picked origin.
func (l *loop) dialPicked(c *conn) error {
	to := c.origin.At(c.dst.Port())
	if !to.IsValid() {
		return errors.New("its name has no address yet")
	}
	c.dialled = l.clock()
	source := l.sourceFor(c.route.Source, to.Addr())
	err := l.connectFrom(c, to, netip.AddrPortFrom(source, 0))
	if errors.Is(err, call.ErrNoPort) {
		err = l.connectByNumber(c, to, source)
	}
	if err != nil {
		return err
	}
	return l.watchSocket(c, originEnd)
}

// connectFrom begins to dial from a new socket.
func (l *loop) connectFrom(c *conn, to, from netip.AddrPort) error {
	if before := c.ends[originEnd].fd; before >= 0 { // a socket can be bound once
		l.sockets.Close(before)
		c.ends[originEnd] = end{fd: -1}
	}
	fd, err := socket.Open(call.Family(to.Addr()))
	if err != nil {
		return err
	}
	c.ends[originEnd] = end{fd: int32(fd)}
	if c.route.ProxyProtocol != config.ProxyOff {
		socket.DelayACK(fd)
	}
	return socket.Connect(fd, to, from)
}

// sourceFor goes round the addresses of the origin's family; none is the kernel's choice.
func (l *loop) sourceFor(sources []netip.Addr, to netip.Addr) netip.Addr {
	l.dialCount++
	for i := range sources {
		if s := sources[(l.dialCount+i)%len(sources)]; s.Is4() == to.Is4() {
			return s
		}
	}
	return netip.Addr{}
}

// giveUpOrigin ends the dial under way; the origin is not tried again for this conn.
func (l *loop) giveUpOrigin(c *conn, refused bool) {
	c.sawOtherFailure = c.sawOtherFailure || !refused
	if fd := c.ends[originEnd].fd; fd >= 0 {
		l.sockets.Close(fd)
	}
	c.ends[originEnd] = end{fd: -1}
	c.origin.End()
	c.tried = append(c.tried, c.origin)
	c.origin = nil
}

// serveDial is the turn of a conn whose origin was asked.
func (l *loop) serveDial(c *conn) {
	switch c.dialResult() {
	case dialAbandoned:
		l.endConn(c, route.ResetByClient)
	case dialAccepted:
		if l.dialledItself(c) {
			l.tryNext(c, errDialledItself)
			return
		}
		l.startRelay(c)
	case dialRejected:
		l.dialFailed(c)
	}
}

// dialFailed goes on with the next origin, unless this one accepted and reset at
// once: then it has answered, and its bytes and its RST are the client's.
func (l *loop) dialFailed(c *conn) {
	err := l.sockets.TakeError(c.ends[originEnd].fd)
	if errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) { // EPIPE: after its FIN
		l.startRelay(c)
		return
	}
	l.tryNext(c, err)
}

// tryNext goes on with the next origin.
func (l *loop) tryNext(c *conn, err error) {
	l.log.Debug("dial", "route", c.route.Name, "origin", c.origin.Text, "error", err)
	l.giveUpOrigin(c, errors.Is(err, unix.ECONNREFUSED))
	l.dialNext(c, route.ConnectFailed)
}

// startRelay relays, the header first.
func (l *loop) startRelay(c *conn) {
	c.state, c.active = relaying, l.now
	c.route.Stats.Shard(l.shard).Connected(l.clock() - c.dialled)
	l.setTimer(c)
	lead, err := header.Stream(c.route.ProxyProtocol, c.client, c.dst)
	if err != nil {
		l.log.Warn(l.now, "no header", "route", c.route.Name, "error", err)
		l.endConn(c, route.HeaderFailed)
		return
	}
	if len(lead) > 0 {
		l.sendHeader(c, lead)
	}
	l.relayConn(c)
}

// sendHeader sends the header, in one write with what the client has sent by now.
// Origins that speak first wait for it, so it waits for nothing.
func (l *loop) sendHeader(c *conn, header []byte) {
	n := copy(l.readBuffer, header)
	if c.ends[clientEnd].readable && !l.buffers.Full() {
		n += l.receive(c, route.ToOrigin, l.readBuffer[n:])
	}
	l.send(c, route.ToOrigin, l.readBuffer[:n])
}
