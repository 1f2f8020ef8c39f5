package tcp

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
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
