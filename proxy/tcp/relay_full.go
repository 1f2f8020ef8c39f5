package tcp

import (
	"errors"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// The bytes that a loop keeps for readers that are slow have a bound (buffers.Store). Beyond it
// a way reads nothing that it would have to keep: it peeks at what has come, passes on what the
// reader takes at once, and only then takes that much from the kernel. So nobody waits for
// memory, and nobody can make others wait: a reader that reads is served as before, with one
// more call a read, and a reader that stalls stops its own sender.

// passThrough moves what the reader takes now, and leaves all else in the kernel.
func (l *loop) passThrough(c *conn, d route.Direction) {
	from, to := &c.ends[d], &c.ends[1-d]
	n, err := l.sockets.Peek(from.fd, l.readBuffer)
	if n <= 0 || err != nil { // FIN, RST, nothing: a read says which
		if n := l.receive(c, d, l.readBuffer); n > 0 {
			l.send(c, d, l.readBuffer[:n])
		}
		return
	}
	sent, err := l.sockets.Send(to.fd, l.readBuffer[:n])
	if err != nil {
		to.writeFailed(err)
		return
	}
	l.discardPassed(from, sent)
	l.countBytes(c, d, sent)
	c.ways[d].streak = nextStreak(c.ways[d].streak, sent)
	from.noteRead(sent == n && n < len(l.readBuffer))
}

// discardPassed takes n bytes from the kernel that have been passed on. They are there, for
// nobody else reads, so it takes them or the conn has to end: they must not be passed on
// again. At an urgent byte a signal can make a read fail (see receive), until it is handled.
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
