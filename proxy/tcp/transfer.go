package tcp

import (
	"errors"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
)

// receive reads into b what the end has sent. If a signal is pending, a read at an urgent byte
// returns EAGAIN, whatever is in the queue (tcp_recvmsg_locked), and no event follows: Go's
// scheduler sends signals at any time. So the queue is asked too.
func (l *loop) receive(c *conn, d route.Direction, b []byte) (n int) {
	w, from := &c.ways[d], &c.ends[d]
	n, err := l.sockets.Receive(from.fd, b)
	switch {
	case err != nil:
		from.readFailed(err)
		from.readable = from.readable || from.urgent && l.sockets.Unread(from.fd) > 0
		return 0
	case n == 0: // not FIN if another call has fetched the error: the socket then reads as ended
		from.readable, w.ended = false, !from.failed
		return 0
	}
	l.countBytes(c, d, n)
	w.streak = nextStreak(w.streak, n)
	from.noteRead(n < len(b))
	return n
}

// noteRead notes that a short read has emptied the queue (epoll(7)), which saves the read that
// would return EAGAIN. After FIN or RST, and at urgent data, a short read does not mean that.
func (e *end) noteRead(short bool) {
	if short && !e.hungUp && !e.failed && !e.urgent {
		e.readable = false
	}
}

// fillPipe splices most bytes from the end into the way's pipe, which is empty.
func (l *loop) fillPipe(c *conn, d route.Direction, most int) {
	w, from := &c.ways[d], &c.ends[d]
	n, err := l.sockets.Splice(from.fd, w.pipe.Write, min(w.pipe.Size, most))
	switch {
	case err != nil:
		from.readFailed(err)
	case n == 0: // FIN, or urgent data that splice cannot pass: the next read tells which
		w.streak = 0
		l.returnPipe(w)
	default:
		w.pipe.Held = n
		l.countBytes(c, d, n)
		w.streak = nextStreak(w.streak, n)
	}
}

// countBytes counts payload that was read, which also restarts idle_timeout.
func (l *loop) countBytes(c *conn, d route.Direction, n int) {
	c.active = l.now
	c.ways[d].bytes += uint64(n)
	c.route.Stats.Shard(l.shard).Bytes(config.TCP, d, n)
	if c.origin != nil { // as it is while it relays
		c.origin.Carry(int(d), n)
	}
}

// send writes b to the other end, and keeps what the kernel does not take.
func (l *loop) send(c *conn, d route.Direction, b []byte) {
	n, err := l.sockets.Send(c.ends[1-d].fd, b)
	if err != nil {
		c.ends[1-d].writeFailed(err)
		n = 0
	}
	if n < len(b) && !c.ends[1-d].failed { // a failed end takes nothing any more: the bytes are dropped
		c.ways[d].held = l.buffers.Keep(b[n:])
	}
}

// flushHeld takes the step stepFlush: what is held goes to the other end.
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

// writeHeld writes what the way holds, in its pipe or its buffer, to fd.
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

// readFailed notes the error of a read from the end.
func (e *end) readFailed(err error) {
	switch {
	case errors.Is(err, unix.EINTR):
	case errors.Is(err, unix.EAGAIN):
		e.readable = false
	default:
		e.readable, e.failed, e.vanished = false, true, vanished(err)
	}
}

// writeFailed notes the error of a write to the end. What the end has sent before can still be
// read, so it stays readable.
func (e *end) writeFailed(err error) {
	switch {
	case errors.Is(err, unix.EINTR):
	case errors.Is(err, unix.EAGAIN):
		e.writable = false
	default:
		e.failed, e.readable, e.vanished = true, true, vanished(err)
	}
}

// passThrough moves only what the reader takes now. The bytes that a loop keeps for slow readers have
// a bound (buffers.Store); beyond it a way reads nothing that it would have to keep. It peeks at what
// has come, writes it, and only then takes as much from the kernel as was written. So no conn waits
// for memory: a reader that reads is served as before, with one more call for each read, and a
// reader that stalls stops its own sender. b is the buffer to peek into.
func (l *loop) passThrough(c *conn, d route.Direction, b []byte) {
	from, to := &c.ends[d], &c.ends[1-d]
	n, err := l.sockets.Peek(from.fd, b)
	if n <= 0 || err != nil { // FIN, RST, nothing: a read says which
		if n := l.receive(c, d, b); n > 0 {
			l.send(c, d, b[:n])
		}
		return
	}
	sent, err := l.sockets.Send(to.fd, b[:n])
	if err != nil {
		to.writeFailed(err)
		return
	}
	l.discardPassed(from, sent)
	l.countBytes(c, d, sent)
	c.ways[d].streak = nextStreak(c.ways[d].streak, sent)
	from.noteRead(sent == n && n < len(b))
}

// discardPassed takes n bytes from the kernel that have been passed on. They are there, since nobody
// else reads, and must not be passed on again: if the kernel does not give them up, the conn ends. At
// an urgent byte a signal can make a read fail until it is handled (see receive).
func (l *loop) discardPassed(from *end, n int) {
	for n > 0 {
		k, err := l.sockets.Discard(from.fd, n)
		switch {
		case err == nil && k > 0:
			n -= k
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
		default:
			from.failed, from.readable = true, false
			return
		}
	}
}
