package udp

import (
	"net/netip"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/flow"
)

// flowSockets is what the loop keeps of a flow: 56 bytes, see flow.Flow for their number.
type flowSockets struct {
	shared *sharedSocket // the origin socket, where other flows use it too
	egress *egressSource // where it leaves from, if the origin socket is a raw one
	reply  *reply

	fd         int32            // the origin socket
	generation uint32           // counts the origin sockets that flows got
	paths      [2]datagram.Path // by direction
	reads      readSize
	drops      dropCount
	shown      bool // to the fleet
}

// liveFlow is a flow of a loop's table.
type (
	liveFlow  = flow.Flow[flowSockets]
	flowTable = flow.Table[flowSockets]
)

// openSocket gives f its socket to an origin's address: one of its own, connected there; one that it
// shares; or a raw one with a source of its own.
func (l *loop) openSocket(f *liveFlow, to netip.AddrPort) error {
	l.generations++ // it wraps around after 2³² sockets: no event is that old
	f.Sockets.generation = l.generations
	switch {
	case len(f.Route.EgressPrefixes) > 0:
		return l.egress.assign(f, to)
	case f.SharesSocket():
		return l.shareSocket(f, to)
	case l.reuseSocket(f, to):
		return nil
	}
	fd, err := l.dial(f, to)
	if err != nil {
		return err
	}
	if err := l.ownSocket(f, fd); err != nil {
		l.forgetClientSocket(fd)
		call.Close(fd)
		return err
	}
	l.owners.at(fd).fresh = true
	if !f.Route.AntiAmplification {
		l.expectBursts(f)
	}
	return nil
}

// dial opens a socket of f's own.
func (l *loop) dial(f *liveFlow, to netip.AddrPort) (int, error) {
	if f.Route.Transparent {
		return l.dialAsClient(f, to)
	}
	return l.dialer.Dial(to, f.Route.Source)
}

// ownSocket gives f a socket that no other flow uses. On error fd remains the caller's.
func (l *loop) ownSocket(f *liveFlow, fd int) error {
	f.Sockets.fd = int32(fd)
	return l.watchOrigin(fd, owner{flow: f, generation: f.Sockets.generation})
}

// expectBursts prepares the socket of a flow that is more than a question and its answer. It is
// called once the client sends more; before, anti_amplification and the budget bound what the
// origin may send. Most flows never need it, and cost two system calls less.
func (l *loop) expectBursts(f *liveFlow) {
	if f.Sockets.reads.large {
		return
	}
	if f.Sockets.reads.large = true; f.OwnsSocket() {
		l.dialer.ExpectBursts(int(f.Sockets.fd))
	}
}

// adoptSocket gives f the socket that it had in another process. On error fd remains the caller's.
func (l *loop) adoptSocket(f *liveFlow, in Flow) error {
	l.generations++
	f.Sockets.generation, f.Sockets.drops.inherited = l.generations, true
	switch {
	case in.Egress.IsValid():
		f.Sockets.egress = newEgressSource(in.Egress, in.Origin)
		return l.egress.register(f)
	case f.SharesSocket():
		return l.adoptShared(f, in.FD)
	case !l.adoptClientSocket(f, in.FD):
		return call.ErrClientPort
	}
	err := l.ownSocket(f, in.FD)
	if err != nil {
		l.forgetClientSocket(in.FD)
	}
	return err
}

// sourceOf is the address and port that the datagrams of a flow leave from. The address of a shared socket,
// which is not connected, is the unspecified one: the kernel chooses one for each datagram.
func sourceOf(f *liveFlow) netip.AddrPort {
	if f.Sockets.egress != nil {
		return f.Sockets.egress.addr()
	}
	own, err := call.LocalAddr(int(f.Sockets.fd))
	if err != nil {
		return netip.AddrPort{}
	}
	return own
}

// closeSockets gives back the sockets of a flow, after its datagrams have been sent.
func (l *loop) closeSockets(f *liveFlow) {
	l.closeOrigin(&f.Sockets)
	l.replies.release(f.Sockets.reply)
}

// closeOrigin gives back the origin socket of a flow: it is closed where no other flow has it. It takes
// the sockets, not the flow, which may have others by now (moveToOtherOrigin).
func (l *loop) closeOrigin(s *flowSockets) {
	switch {
	case s.egress != nil:
		l.egress.remove(s.egress)
	case s.shared != nil:
		l.leaveShared(s.shared)
	default:
		l.unwatchOrigin(int(s.fd))
	}
}
