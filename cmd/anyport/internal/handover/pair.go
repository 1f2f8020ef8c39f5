package handover

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Pair returns both ends of a stream, for the two sides of a hand-over within one process.
func Pair() (old, next *Conn, err error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	if old, err = connOf(ours); err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	if next, err = connOf(theirs); err != nil {
		return nil, nil, errors.Join(err, old.Close())
	}
	return old, next, nil
}

// Peer is the process that has made a stream. It belongs to one goroutine. nil knows nothing.
type Peer struct{ pidfd int } // -1: closed

// Peer returns the process that has made the stream, which must live still; nil if the kernel does not tell.
func (c *Conn) Peer() (p *Peer) {
	raw, err := c.stream.SyscallConn()
	if err != nil {
		return nil
	}
	_ = raw.Control(func(fd uintptr) {
		made, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return
		}
		if pidfd, err := unix.PidfdOpen(int(made.Pid), 0); err == nil {
			p = &Peer{pidfd}
		}
	})
	return p
}

// EndsWithin waits until the process has ended, for some time at most. It returns false, too, where that cannot be known.
func (p *Peer) EndsWithin(limit time.Duration) bool {
	if p == nil || p.pidfd < 0 {
		return false
	}
	for end := time.Now().Add(limit); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}, int(max(0, time.Until(end)).Milliseconds()))
		if err != unix.EINTR {
			return err == nil && n > 0
		}
	}
}

// Close may be called twice.
func (p *Peer) Close() error {
	if p == nil || p.pidfd < 0 {
		return nil
	}
	err := os.NewSyscallError("close", unix.Close(p.pidfd))
	p.pidfd = -1
	return err
}
