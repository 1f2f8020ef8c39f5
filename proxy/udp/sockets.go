package udp

import (
	"net/netip"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// owner is whose an origin socket is: a flow's, or one that flows share.
type owner struct {
	flow   *flow
	shared *shared
}

// owner returns whose fd is, which may be nobody's.
func (l *loop) owner(fd int) owner {
	if fd < len(l.byFD) {
		return l.byFD[fd]
	}
	return owner{}
}

// appetite is how many messages the next read of a socket asks for. One that finds fewer has
// the kernel look once more, in vain: most sockets have one at a time.
type appetite struct {
	most  uint8
	large bool   // the socket is prepared for bursts
	turn  uint32 // of the last read
}

func (a *appetite) messages() int { return max(1, int(a.most)) }

// fed takes that a read in this turn found n. A socket that was full, and ready in the turn
// before, too, has more.
func (a *appetite) fed(n int, turn uint32) {
	switch {
	case n <= 1 && a.most > 1:
		a.most = 1
	case n == a.messages() && a.turn == turn-1:
		a.most = uint8(min(4*n, datagram.BatchSize))
	}
	a.turn = turn
}

func (o owner) appetite() *appetite {
	if o.flow != nil {
		return &o.flow.appetite
	}
	return &o.shared.appetite
}

// generation tells one owner of an fd from the next; 0 is nobody's.
func (o owner) generation() uint32 {
	switch {
	case o.flow != nil:
		return o.flow.generation
	case o.shared != nil:
		return o.shared.generation
	}
	return 0
}

// peer is the address of its origin.
func (o owner) peer() netip.Addr {
	if o.flow != nil {
		return o.flow.origin.Addr
	}
	return o.shared.key.origin
}

func (o owner) counters() *route.Counters {
	if o.flow != nil {
		return o.flow.counters
	}
	return o.shared.counters
}

// own has the loop read what comes to an origin socket.
func (l *loop) own(fd int, o owner) error {
	if err := l.watch(fd, o.generation()); err != nil {
		return err
	}
	for len(l.byFD) <= fd {
		l.byFD = append(l.byFD, owner{})
	}
	l.byFD[fd] = o
	datagram.WantTOS(fd, o.peer())
	if o.flow == nil || o.flow.queuesErrors() {
		datagram.WantErrors(fd, o.peer())
	}
	return nil
}

// disown closes an origin socket. What waits is sent before: the fd's next owner must
// not get it.
func (l *loop) disown(fd int) {
	l.out.flush()
	l.byFD[fd] = owner{}
	call.Close(fd)
}

// dial, take and hangUp make l the table's sockets.
func (l *loop) dial(f *flow, to netip.AddrPort) error {
	switch {
	case len(f.route.EgressPrefixes) > 0:
		return l.egress.begin(f, to)
	case f.shares():
		return l.share(f, to)
	}
	fd, err := l.dialer.Dial(to, f.route.Source)
	if err != nil {
		return err
	}
	if err := l.take(f, fd); err != nil {
		call.Close(fd)
		return err
	}
	if !f.route.AntiAmplification {
		l.prepare(f)
	}
	return nil
}

// prepare is for a flow that is more than a question and its answer: as soon as its client
// says more, before which anti_amplification and the budget bound what the origin may send.
// Most never are, and cost two calls less.
func (l *loop) prepare(f *flow) {
	if f.appetite.large {
		return
	}
	if f.appetite.large = true; f.owns() {
		l.dialer.ExpectBursts(f.fd)
	}
}

func (l *loop) take(f *flow, fd int) error {
	switch {
	case f.exit != nil:
		return l.egress.take(f)
	case f.shares():
		return l.takeShared(f, fd)
	}
	f.fd = fd
	return l.own(fd, owner{flow: f})
}

func (l *loop) hangUp(f *flow) {
	switch {
	case f.exit != nil:
		l.egress.end(f)
	case f.shared != nil:
		l.part(f)
	default:
		l.disown(f.fd)
	}
}

func (l *loop) closeReply(fd int) {
	l.out.flush()
	call.Close(fd)
}
