package tcp

import (
	"os"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// watchListener adds a listener to the loop's epoll: level-triggered, so that a batch can leave
// conns for the next turn, and exclusive (Linux 4.5), so that a new conn wakes only one of the loops
// that share the listener.
func (l *loop) watchListener(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", call.EpollAdd(l.epoll, fd, &event))
}

func (l *loop) unwatchListener(fd int) {
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil)
}

// watchMailbox adds the loop's mailbox to its epoll.
func (l *loop) watchMailbox() error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.mailbox.FD())}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.mailbox.FD(), &event))
}

// watchSocket adds one end of a conn to epoll, once for the conn's life: edge-triggered, so that no
// call changes what is watched. The event carries slot, end and generation.
func (l *loop) watchSocket(c *conn, which int) error {
	event := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET,
		Fd:     int32(c.slot<<1) | int32(which),
		Pad:    int32(c.generation),
	}
	return call.EpollAdd(l.epoll, int(c.ends[which].fd), &event)
}

// handleEvent finds whose event it is. The conn may have been closed by an earlier event of the same
// batch, and another conn may have its slot and fds: the generation tells them apart.
func (l *loop) handleEvent(e *unix.EpollEvent) error {
	generation, slot, which := uint32(e.Pad), uint32(e.Fd)>>1, e.Fd&1
	switch {
	case generation != 0:
		if c := l.slots[slot]; c != nil && c.generation == generation {
			c.ends[which].noteEvents(e.Events)
			l.serveConn(c)
		}
		if len(l.outbox.messages) >= mostMessages {
			l.sendCollected()
		}
	case int(e.Fd) == l.mailbox.FD():
		l.sendCollected()
		l.mailbox.Run()
		l.applyReload()
		l.applyRecording()
		l.closeDown()
		l.closeInactive()
		l.serveCalled()
	case !l.gate.shut && !l.acceptPaused && !l.draining():
		return l.acceptFrom(int(e.Fd))
	}
	return nil
}

// noteEvents notes what an event says. It only sets: what was seen holds until a call finds otherwise.
func (e *end) noteEvents(events uint32) {
	const gone = unix.EPOLLERR | unix.EPOLLHUP | unix.EPOLLRDHUP
	e.readable = e.readable || events&(unix.EPOLLIN|gone) != 0
	e.writable = e.writable || events&unix.EPOLLOUT != 0
	e.hungUp = e.hungUp || events&gone != 0
	e.urgent = e.urgent || events&unix.EPOLLPRI != 0
	e.failed = e.failed || events&unix.EPOLLERR != 0
}
