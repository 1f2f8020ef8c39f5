package udp

import (
	"net/netip"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// owner is what an origin socket belongs to: one flow, or a socket that flows share. The zero owner
// is that of an fd that is no origin socket.
type owner struct {
	flow   *liveFlow
	shared *sharedSocket
}

// ownerOf returns the owner of fd.
func (l *loop) ownerOf(fd int) owner {
	if fd < len(l.owners) {
		return l.owners[fd]
	}
	return owner{}
}

// reads is the size of the next read of the socket.
func (o owner) reads() *readSize {
	if o.flow != nil {
		return &o.flow.Sockets.reads
	}
	return &o.shared.reads
}

// drops counts what the kernel has dropped at the socket.
func (o owner) drops() *dropCount {
	if o.flow != nil {
		return &o.flow.Sockets.drops
	}
	return &o.shared.drops
}

// generation tells one owner of an fd from the next; 0 is that of the zero owner.
func (o owner) generation() uint32 {
	switch {
	case o.flow != nil:
		return o.flow.Sockets.generation
	case o.shared != nil:
		return o.shared.generation
	}
	return 0
}

// originAddr is the address of the origin.
func (o owner) originAddr() netip.Addr {
	if o.flow != nil {
		return o.flow.Origin.Addr
	}
	return o.shared.key.origin
}

// counters are those of the route.
func (o owner) counters() *route.Counters {
	if o.flow != nil {
		return o.flow.Counters
	}
	return o.shared.counters
}

// watchOrigin has the loop read an origin socket, and notes its owner. The list of owners is as long as
// the highest fd: the kernel gives out the lowest that is free. On error fd remains the caller's.
func (l *loop) watchOrigin(fd int, o owner) error {
	if err := l.watch(fd, o.generation()); err != nil {
		return err
	}
	for len(l.owners) <= fd {
		l.owners = append(l.owners, owner{})
	}
	l.owners[fd] = o
	datagram.WantTOS(fd, o.originAddr())
	if o.flow == nil || queuesErrors(o.flow) {
		datagram.WantErrors(fd, o.originAddr())
	}
	return nil
}

// unwatchOrigin closes an origin socket. What is queued for it is sent before: the next socket with
// the same fd must not get it.
func (l *loop) unwatchOrigin(fd int) {
	l.out.flush()
	l.owners[fd] = owner{}
	l.forgetClientSocket(fd)
	call.Close(fd)
}
