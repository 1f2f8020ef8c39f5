package tcp

import (
	"errors"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
)

// relayConn moves what can be moved now, both ways, up to a bound.
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

// moveWay takes the steps of one way until it rests or had its share of the turn.
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
			l.readOnce(c, d)
		case stepFIN:
			l.passFIN(c, d)
		}
	}
}

// returnPipe gives back the pipe of a way that rests with nothing in it.
func (l *loop) returnPipe(w *way) {
	if w.pipe != nil && w.pipe.Held == 0 {
		l.pipes.Return(w.pipe)
		w.pipe = nil
	}
}

func (l *loop) readOnce(c *conn, d route.Direction) {
	w := &c.ways[d]
	if c.ends[d].urgent {
		w.streak = 0
		l.returnPipe(w)
	}
	if w.pipe == nil && w.streak >= bulkStreak {
		w.pipe = l.pipes.Borrow(l.now)
	}
	if w.pipe != nil {
		l.fillPipe(c, d)
		return
	}
	if l.buffers.Full() {
		l.passThrough(c, d)
		return
	}
	if n := l.receive(c, d, l.readBuffer); n > 0 {
		l.send(c, d, l.readBuffer[:n])
	}
}

// receive reads into b what the end has sent. At an urgent byte a read that meets a signal
// says EAGAIN, whatever is in the queue (tcp_recvmsg_locked), and no event comes for that:
// Go's scheduler sends signals at any time.
func (l *loop) receive(c *conn, d route.Direction, b []byte) (n int) {
	w, from := &c.ways[d], &c.ends[d]
	n, err := l.sockets.Receive(from.fd, b)
	switch {
	case err != nil:
		from.readFailed(err)
		from.readable = from.readable || from.urgent && l.sockets.Unread(from.fd) > 0
		return 0
	case n == 0: // after an error was fetched by another call, 0 is no FIN
		from.readable, w.ended = false, !from.failed
		return 0
	}
	l.countBytes(c, d, n)
	w.streak = nextStreak(w.streak, n)
	from.noteRead(n < len(b))
	return n
}

// noteRead takes that all was read that there was. A stream's short read says so (epoll(7)),
// and spares the call that would say EAGAIN; but not before FIN or RST is read, nor at
// urgent data.
func (e *end) noteRead(short bool) {
	if short && !e.hungUp && !e.failed && !e.urgent {
		e.readable = false
	}
}

// fillPipe splices from the end into the way's pipe.
func (l *loop) fillPipe(c *conn, d route.Direction) {
	w, from := &c.ways[d], &c.ends[d]
	n, err := l.sockets.Splice(from.fd, w.pipe.Write, w.pipe.Size)
	switch {
	case err != nil:
		from.readFailed(err)
	case n == 0: // FIN, or urgent data that splice can't pass: let read say which
		w.streak = 0
		l.returnPipe(w)
	default:
		w.pipe.Held = n
		l.countBytes(c, d, n)
		w.streak = nextStreak(w.streak, n)
	}
}

func (l *loop) countBytes(c *conn, d route.Direction, n int) {
	c.active = l.now
	c.ways[d].bytes += uint64(n)
	c.route.Stats.Shard(l.shard).Bytes(config.TCP, d, n)
}

// send hands b over, and keeps what is not taken.
func (l *loop) send(c *conn, d route.Direction, b []byte) {
	n, err := l.sockets.Send(c.ends[1-d].fd, b)
	if err != nil {
		c.ends[1-d].writeFailed(err)
		n = 0
	}
	if n < len(b) && !c.ends[1-d].failed {
		c.ways[d].held = l.buffers.Keep(b[n:])
	}
}

// flushHeld hands over what is held.
func (l *loop) flushHeld(c *conn, d route.Direction) {
	w, to := &c.ways[d], &c.ends[1-d]
	n, err := l.writeHeld(w, to.fd)
	if err != nil {
		to.writeFailed(err)
		return
	}
	if n > 0 {
		c.active = l.now
	}
}

// writeHeld writes what is held to fd.
func (l *loop) writeHeld(w *way, fd int32) (n int, err error) {
	if w.held == nil {
		n, err := l.sockets.Splice(w.pipe.Read, fd, w.pipe.Held)
		if err == nil {
			w.pipe.Held -= n
		}
		return n, err
	}
	if n, err = l.sockets.Send(fd, w.held.Held()); err != nil {
		return 0, err
	}
	w.held = l.buffers.Took(w.held, n)
	return n, nil
}

// passFIN passes FIN on. A conn's second FIN goes with its close.
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

// readFailed takes the error of a read from the end.
func (e *end) readFailed(err error) {
	switch {
	case errors.Is(err, unix.EINTR):
	case errors.Is(err, unix.EAGAIN):
		e.readable = false
	default:
		e.readable, e.failed, e.vanished = false, true, vanished(err)
	}
}

// writeFailed takes the error of a write to the end. It says nothing of what the end
// has sent before, which may still be read.
func (e *end) writeFailed(err error) {
	switch {
	case errors.Is(err, unix.EINTR):
	case errors.Is(err, unix.EAGAIN):
		e.writable = false
	default:
		e.failed, e.readable, e.vanished = true, true, vanished(err)
	}
}
