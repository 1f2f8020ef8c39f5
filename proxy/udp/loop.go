package udp

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/flow"
	"anyport/proxy/mailbox"
	"anyport/proxy/panics"
	"anyport/proxy/ratelog"
	"anyport/proxy/route"
)

// loop is one listener, its flows, and the epoll instance that watches all their sockets. Only the
// goroutine of run touches it (before and after it that of Serve); other goroutines send it orders.
//
// A turn reads into in, and queues in out what it forwards, uncopied: out must be flushed before in
// is reset, and before any fd is closed that out may have datagrams for.
type loop struct {
	listener int // the caller's of Serve
	in       *datagram.ReceiveBatch
	out      sendQueue
	turn     uint32 // counts calls of handle: see readSize

	flows    *flowTable // all live flows of the listener; egress, owners and shared point into it
	newFlows newFlows
	ending   []ending // flows to end before their time
	seeking  seeking
	firsts   firstDatagrams
	replies  *replies
	fast     fastPath
	egress   egress
	shared   map[sharedKey]*sharedSocket
	sockets  flow.SocketQuota // shared sockets take theirs here; the table those of flows
	dialer   datagram.Dialer

	clientSockets *clientSockets   // of all loops
	asClient      map[int]flow.Key // those of this loop, by fd

	epoll       int
	owners      owners // of origin sockets
	free        freeSockets
	generations uint32 // counts origin sockets: see owner.generation
	orders      *mailbox.Queue
	handedOver  bool // another process has the flows
	pace        call.Pace

	unrouted *route.Counters // datagrams that no route is known for
	mirrored route.Mirror    // may be nil
	knock    Knock           // may be nil
	epoch    time.Time       // the zero of all times
	log      ratelog.Log
}

// newLoop makes loop i, which run starts. What it opens, close closes; the listener remains the
// caller's.
func newLoop(opt Options, i int, limits loopLimits) (*loop, error) {
	in, err := datagram.NewReceiveBatch(datagram.BufferSize)
	if err != nil {
		return nil, err
	}
	l := &loop{
		listener: opt.Listeners[i],
		in:       in,
		fast:     fastPath{kernel: opt.Fast},
		seeking:  seeking{fleet: opt.Fleet},
		egress:   egress{opt.Raw, map[flow.Key]*liveFlow{}},
		shared:   map[sharedKey]*sharedSocket{},
		sockets:  limits.Sockets,
		dialer:   datagram.NewDialer(opt.Listeners[i]),
		unrouted: opt.Routes.Unrouted.Shard(opt.FirstShard + i),
		mirrored: opt.Mirror,
		knock:    opt.Knock,
		asClient: map[int]flow.Key{},
		free:     newFreeSockets(),
		epoch:    limits.epoch,
		log:      ratelog.Log{Logger: opt.Log},
	}
	l.flows = flow.NewTable[flowSockets](flow.Options{
		Routes: opt.Routes, Shard: opt.FirstShard + i, Limits: limits.Limits,
		Budgets: limits.budgets, Replies: limits.replyAddrs, Patience: flow.DefaultPatience,
		Epoch: limits.epoch, Log: opt.Log,
	})
	openReply := func(dst netip.AddrPort) (datagram.ReplySocket, error) { return datagram.OpenReply(dst, opt.Raw) }
	l.replies = newReplies(limits.replyFiles, limits.replyAddrs, openReply, l.closeReply)
	l.out.originError = l.sendRefused
	datagram.WantTrains(l.listener)
	datagram.WantTOS(l.listener, netip.IPv4Unspecified()) // it may take both families
	datagram.WantTOS(l.listener, netip.IPv6Unspecified())
	if err := l.openEpoll(); err != nil {
		in.Close()
		return nil, err
	}
	return l, nil
}

// closeReply closes a reply socket, after what is queued for it has been sent.
func (l *loop) closeReply(fd int) {
	l.out.flush()
	call.Close(fd)
}

// openEpoll opens the epoll instance, which watches the listener and the orders.
func (l *loop) openEpoll() (err error) {
	if l.orders, err = mailbox.New(); err != nil {
		return err
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		l.orders.Close()
		return fmt.Errorf("opening an epoll instance: %w", err)
	}
	for _, fd := range []int{l.orders.FD(), l.listener} {
		if err = l.watch(fd, 0); err != nil {
			l.closeEpoll()
			return err
		}
	}
	return nil
}

// closeEpoll closes what openEpoll has opened.
func (l *loop) closeEpoll() {
	unix.Close(l.epoll)
	l.orders.Close()
}

// close closes what newLoop has opened. No goroutine may give orders any more.
func (l *loop) close() {
	l.seeking.answers.close()
	l.closeEpoll()
	l.in.Close()
}

// watch asks epoll for fd's events, which carry the generation. They are level-triggered: a socket
// with more than a batch is reported again, after the others.
func (l *loop) watch(fd int, generation uint32) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd), Pad: int32(generation)}
	if err := call.EpollAdd(l.epoll, fd, &event); err != nil {
		return fmt.Errorf("watching a socket: %w", err)
	}
	return nil
}

// run is the loop, on a goroutine that Serve starts. It returns once the loop has drained, or has
// handed its flows over.
func (l *loop) run() error {
	defer l.orders.End()
	defer func() { l.endAll(route.RelayFailed, l.now()) }() // flows are left only after an error, and the kernel's entries of those just ended
	defer panics.Rethrow()
	events := make([]unix.EpollEvent, 256)
	for !l.done() {
		n, err := unix.EpollWait(l.epoll, events, l.timeout())
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("waiting for datagrams: %w", err)
		}
		now := l.now()
		l.handle(events[:max(n, 0)], now)
		l.endLater(l.flows.Reload(now), route.NoRoute)
		l.endLater(l.flows.HoursOver(), route.HoursOver)
		l.endDue(now)
		l.closeOldFree(now)
		l.askKernel(now)
		l.pace.Yield(now, l.now)
	}
	return nil
}

// done reports whether run is over.
func (l *loop) done() bool { return l.handedOver || l.flows.Drained() }

// now is the time that a turn passes to all that it calls: since the epoch that all loops share, by the
// monotonic clock.
func (l *loop) now() time.Duration { return time.Since(l.epoch) }

// timeout is how long epoll may wait for events, in milliseconds; -1: without end. It is rounded up:
// a millisecond too early would find nothing to do.
func (l *loop) timeout() int {
	if !l.newFlows.waiting.empty() || len(l.ending) > 0 || l.flows.Reloading() {
		return 0
	}
	deadline, ok := l.flows.NextDeadline()
	if answer, waits := l.seeking.next(); waits && (!ok || answer < deadline) {
		deadline, ok = answer, true
	}
	if len(l.fast.removing) > 0 {
		deadline, ok = min(l.now()+removeAfter, max(deadline, l.now())), true
	}
	if l.free.n > 0 && (!ok || l.free.look < deadline) {
		deadline, ok = l.free.look, true
	}
	if !ok {
		return -1
	}
	return int(max(0, (deadline-l.now()+time.Millisecond-1)/time.Millisecond))
}

// handle does one turn's work: first what origins have sent, which is of live flows; then what
// clients have sent, that of live flows first; then orders. This order keeps a flood from clients,
// of new flows most of all, from delaying live flows: a turn takes all that is ready of origins, and
// of clients no more than a bound.
func (l *loop) handle(events []unix.EpollEvent, now time.Duration) {
	var listener, ordered uint32
	l.turn++
	l.fast.begin()
	for _, event := range events {
		switch fd := int(event.Fd); fd {
		case l.listener:
			listener = event.Events
		case l.orders.FD():
			ordered = event.Events
		default:
			// Since these events were read, the fd may have been closed, or opened for another flow.
			o := l.ownerOf(fd)
			switch {
			case o.generation != uint32(event.Pad):
				continue
			case o.free != nil:
				l.readFree(o.free, fd)
				continue
			}
			if event.Events&unix.EPOLLERR == 0 || l.readErrors(fd, o, now) {
				l.readOrigin(fd, o, now)
			}
		}
	}
	l.flush()
	if listener&unix.EPOLLERR != 0 {
		datagram.DropErrors(l.listener) // ICMP errors for replies, where IP_RECVERR is set: they keep epoll awake
	}
	if listener != 0 {
		l.readClients(now)
	}
	l.settleDue(now)
	l.beginWaiting(now)
	if ordered != 0 {
		l.orders.Run()
	}
}
