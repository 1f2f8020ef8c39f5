package tcp

import (
	"math"

	"anyport/proxy/header"
	"anyport/proxy/route"
)

// startRelay begins to relay a conn whose origin has accepted: the PROXY header goes first, before
// any byte of the client.
func (l *loop) startRelay(c *conn) {
	c.state, c.active = relaying, l.now // from now on idle_timeout applies, not connect_timeout
	took := l.clock() - c.dialled
	c.connected = uint32(min(max(took.Microseconds(), 1), math.MaxUint32))
	c.route.Stats.Shard(l.shard).Connected(took)
	c.origin.Connected(took)
	l.noteAccepted(c)
	l.trace(c, route.StepConnected)
	l.planProgress(c)
	l.setTimer(c)
	lead, err := l.outgoingHeader(c)
	if err != nil {
		l.log.Warn(l.now, "cannot make a PROXY header", "route", c.route.Name, "error", err)
		l.endConn(c, route.HeaderFailed)
		return
	}
	if c.route.NamesConns() {
		l.uniqueIDs[c] = string(header.UniqueIDOf(lead))
	}
	if len(lead) > 0 {
		l.sendHeader(c, lead)
	}
	l.relayConn(c) // the event may also have said that the origin has sent something: it is not repeated
}

// outgoingHeader is the header that the origin gets. An inbound header leaves the kernel's queue here.
func (l *loop) outgoingHeader(c *conn) ([]byte, error) {
	var tlvs []byte
	dst := c.dst
	if c.inbound != nil {
		dst, tlvs = c.inbound.dst, l.takeInbound(c)
	}
	if c.route.NamesConns() { // unless a peer has named it, the origin knows it by the id of the log
		tlvs = header.WithUniqueID(tlvs, []byte(c.id.String()))
	}
	return header.StreamOf(c.route.Route, c.client, dst, tlvs)
}

// sendHeader sends the header in one write with what the client has sent so far. It does not wait
// for the client: an origin that speaks first waits for the header.
func (l *loop) sendHeader(c *conn, header []byte) {
	n := copy(l.readBuffer, header)
	if c.ends[clientEnd].readable && !l.buffers.Full() && c.route.Shared(route.ToOrigin) == nil {
		n += l.receive(c, route.ToOrigin, l.readBuffer[n:])
	}
	l.send(c, route.ToOrigin, l.readBuffer[:n])
}

// relayConn moves what can be moved now, both ways, up to a bound. It is called after each event
// of the conn, and again in the next turn if the bound stopped it.
func (l *loop) relayConn(c *conn) {
	l.moveWay(c, route.ToOrigin)
	l.moveWay(c, route.ToClient)
	switch v := c.verdict(); {
	case v != route.Undecided:
		l.endConn(c, l.resetOrTimeout(c, v))
	case c.hasSteps():
		l.markReady(c)
	}
}

// moveWay takes the steps of one way until it has to wait, or has had its share of the turn.
func (l *loop) moveWay(c *conn, d route.Direction) {
	w, from, to := &c.ways[d], &c.ends[d], &c.ends[1-d]
	for range turnSteps {
		switch w.nextStep(from, to) {
		case stepWait:
			l.returnPipe(w)
			return
		case stepFlush:
			l.flushHeld(c, d)
		case stepRead:
			if !l.readInTurn(c, d) {
				if w.nextStep(from, to) == stepWait {
					l.returnPipe(w)
				}
				return
			}
		case stepFIN:
			l.passFIN(c, d)
		}
	}
}

// returnPipe gives back the pipe of a way that has nothing in it.
func (l *loop) returnPipe(w *way) {
	if w.pipe != nil && w.pipe.Held == 0 {
		l.pipes.Return(w.pipe)
		w.pipe = nil
	}
}

// readOnce takes the step stepRead: one read, of most bytes, and the write of what it brought, at once or with the messages of other conns. Bulk
// goes through a pipe, small reads through the loop's buffer. Where memory for a slow reader is used
// up, nothing is read that the reader does not take at once.
func (l *loop) readOnce(c *conn, d route.Direction, most int) {
	w, b := &c.ways[d], l.outbox.free(most)
	if c.ends[d].urgent { // splice does not get past urgent data
		w.streak = 0
		l.returnPipe(w)
	}
	if w.pipe == nil && w.streak >= bulkStreak {
		w.pipe = l.pipes.Borrow(l.now)
	}
	if w.pipe != nil {
		l.fillPipe(c, d, most)
		return
	}
	if l.buffers.Full() {
		l.passThrough(c, d, b)
		return
	}
	switch n := l.receive(c, d, b); {
	case n == 0:
	case l.outbox.takes(n):
		l.outbox.put(message{c, d, b[:n]})
	default:
		l.send(c, d, b[:n])
	}
}

// passFIN takes the step stepFIN: FIN goes to the other end. The second FIN of a conn goes with its
// close.
func (l *loop) passFIN(c *conn, d route.Direction) {
	c.ways[d].finished = true
	if c.ways[1-d].finished {
		return
	}
	if err := l.sockets.SendFIN(c.ends[1-d].fd); err != nil {
		c.ends[1-d].writeFailed(err)
	}
	c.active = l.now
	l.setTimer(c) // half_close_timeout may end before idle_timeout
}
