package udp

import (
	"net/netip"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// owner is what an origin socket belongs to: one flow, a socket that flows share, or a list of free
// sockets. The zero owner is that of an fd that is not an origin socket.
type owner struct {
	flow   *liveFlow
	shared *sharedSocket
	free   *freeList

	generation   uint32 // that its events carry: tells the socket from the next one with the same fd; 0: of the zero owner
	fresh        bool   // this loop has dialled it, for its flow
	queuesErrors bool   // see queuesErrors
}

// owners has the owner of each fd, in pieces that stay where they are. One long list would be copied to new
// memory again and again while it grows with the first flows.
type owners []*[ownersAPiece]owner

const ownersAPiece = 256

// at is the place of fd, which has had an owner before.
func (all owners) at(fd int) *owner { return &all[fd/ownersAPiece][fd%ownersAPiece] }

// make is at for any fd. The pieces reach to the highest fd: the kernel gives out the lowest that is free.
func (all *owners) make(fd int) *owner {
	for len(*all) <= fd/ownersAPiece {
		*all = append(*all, new([ownersAPiece]owner))
	}
	return all.at(fd)
}

// each yields all places, by fd.
func (all owners) each(yield func(fd int, o *owner) bool) {
	for i, piece := range all {
		for j := range piece {
			if !yield(i*ownersAPiece+j, &piece[j]) {
				return
			}
		}
	}
}

// ownerOf returns the owner of fd.
func (l *loop) ownerOf(fd int) owner {
	if fd/ownersAPiece < len(l.owners) {
		return *l.owners.at(fd)
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

// watchOrigin has the loop read an origin socket, and notes its owner. On error fd remains the caller's.
func (l *loop) watchOrigin(fd int, o owner) error {
	if err := l.watch(fd, o.generation); err != nil {
		return err
	}
	datagram.WantTOS(fd, o.originAddr())
	if o.queuesErrors = o.flow == nil || queuesErrors(o.flow); o.queuesErrors {
		datagram.WantErrors(fd, o.originAddr())
	}
	*l.owners.make(fd) = o
	return nil
}

// unwatchOrigin closes an origin socket. What is queued for it is sent before: the next socket with
// the same fd must not get it.
func (l *loop) unwatchOrigin(fd int) {
	l.out.flush()
	*l.owners.at(fd) = owner{}
	l.forgetClientSocket(fd)
	call.Close(fd)
}
