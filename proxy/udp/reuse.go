package udp

import (
	"math"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// useOf is what a socket of f's own to an origin's address can be used for.
func useOf(f *liveFlow, to netip.AddrPort) socketUse {
	return socketUse{f.Route, to, queuesErrors(f)}
}

// leaveSocket keeps the socket of f, which is about to end, for another flow, and reports whether it
// does. The free socket has a place of its own in the quota of sockets, since f gives its place back.
func (l *loop) leaveSocket(f *liveFlow, verdict route.Verdict, now time.Duration) bool {
	if !l.flows.LeavesSocket(f, verdict, now) || f.Sockets.reads.large || !l.free.hasRoom() {
		return false
	}
	fd := int(f.Sockets.fd)
	o := l.ownerOf(fd)
	if !o.fresh || !l.sockets.Ample() || !l.sockets.Take() {
		return false
	}
	l.out.flush() // what is queued for the socket is of f
	use := socketUse{f.Route, f.OriginAddr(), o.queuesErrors}
	o.flow, o.free = nil, l.free.put(use, f.Counters, fd, now)
	*l.owners.at(fd) = o
	return true
}

// reuseSocket gives f a free socket to an origin's address, and reports whether there was one.
func (l *loop) reuseSocket(f *liveFlow, to netip.AddrPort) bool {
	fd, ok := l.takeFree(l.free.lists[useOf(f, to)])
	if !ok {
		return false
	}
	l.sockets.Give() // f has taken a place
	o := l.owners.at(fd)
	o.flow, o.free = f, nil
	f.Sockets.fd = int32(fd)
	return true
}

// mostDrawn is how many free sockets one call looks at. What is drawn for the flows that follow waits for
// them, some ten microseconds each; the first datagrams of a batch wait longer for the end of it.
const mostDrawn = 8

// takeFree takes a socket to which nothing has come. A batch of new flows looks at the sockets of several
// flows in one system call.
func (l *loop) takeFree(list *freeList) (fd int, ok bool) {
	if list == nil {
		return -1, false
	}
	for {
		if fd, ok = l.free.takeDrawn(list); ok {
			return fd, true
		}
		if !l.drawFree(list, min(mostDrawn, 1+l.newFlows.left)) {
			return -1, false
		}
	}
}

// drawFree draws free sockets, closes those to which something has come, and reports whether it has drawn any.
func (l *loop) drawFree(list *freeList, most int) bool {
	var look [mostDrawn]unix.PollFd
	drawn := l.free.draw(list, most)
	for i, one := range drawn {
		look[i] = unix.PollFd{Fd: int32(one.fd), Events: unix.POLLIN}
	}
	n := len(drawn)
	err := call.PollNow(look[:n])
	for _, one := range look[:n] {
		if fd := int(one.Fd); (err != nil || one.Revents != 0) && !l.dropLate(list, fd) {
			l.free.remove(list, fd)
			l.closeFree(fd)
		}
	}
	return n > 0
}

// dropLate drops and counts what has come to a free socket, and reports whether that was nothing: no
// datagram and no error.
func (l *loop) dropLate(list *freeList, fd int) (clean bool) {
	n, err := datagram.DropPending(fd)
	if n > 0 {
		list.counters.Datagrams(route.ToClient, route.FlowEnded, n)
	}
	return n == 0 && err == unix.EAGAIN
}

// readFree handles an event of a free socket.
func (l *loop) readFree(list *freeList, fd int) {
	l.dropLate(list, fd)
	l.free.remove(list, fd)
	l.closeFree(fd)
}

// closeFree closes a socket that was removed from the free ones.
func (l *loop) closeFree(fd int) {
	l.unwatchOrigin(fd)
	l.sockets.Give()
}

// makeRoom closes a free socket if no socket could be opened otherwise. It is called before a flow asks
// for one.
func (l *loop) makeRoom() {
	if l.free.n > 0 && l.sockets.Full() {
		l.closeSomeFree(math.MaxInt64, 1)
	}
}

// closeSomeFree closes up to most sockets that became free before since, and returns how many.
func (l *loop) closeSomeFree(since time.Duration, most int) (closed int) {
	fds := l.free.removeSome(since, most)
	for _, fd := range fds {
		l.closeFree(fd)
	}
	return len(fds)
}

// closeAllFree closes all free sockets, and reports whether there was one.
func (l *loop) closeAllFree() bool { return l.closeSomeFree(math.MaxInt64, math.MaxInt) > 0 }

// closeOldFree closes the sockets that nobody has taken; all of them, where conns and the other loops are about to need
// their places.
func (l *loop) closeOldFree(now time.Duration) {
	if l.free.n == 0 || now < l.free.look {
		return
	}
	since := now - freeFor
	if !l.sockets.Ample() {
		since = math.MaxInt64
	}
	if l.closeSomeFree(since, closedALook) < closedALook { // else the next turn goes on
		l.free.look = now + freeLook
	}
}
