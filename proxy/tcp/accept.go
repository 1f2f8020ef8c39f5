package tcp

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/socket"
)

// acceptMost bounds what one turn accepts, so that live conns are served too and loops that share a
// listener share its conns.
const acceptMost = 16

// acceptFrom accepts a batch after an event of the listener. If loops share it and its queue is empty
// now, this loop goes to the end of the listener's wait queue: the kernel wakes the first in that
// queue, so conns that come one by one would all go to the same loop.
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

// acceptBatch takes conns from a listener's queue and admits each. dry reports that the queue is
// empty. An error of the listener is returned; an error of a conn in the queue is skipped.
func (l *loop) acceptBatch(listener int) (dry bool, err error) {
	for i := 0; i < acceptMost && !l.gate.shut; i++ {
		fd, client, err := call.Accept(listener)
		switch {
		case err == nil:
			if l.unprepared[listener] { // it did not inherit the listener's options
				_ = socket.SetOptions(fd)
			}
			l.admitConn(accepted{fd: fd, client: client})
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
		// Any other error is a pending one of the conn that was in the queue (accept(2)).
	}
	return false, nil
}

// scarce reports whether err means that the process or the host has run out of files or memory.
func scarce(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
