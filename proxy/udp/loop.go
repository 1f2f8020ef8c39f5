package udp

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/mailbox"
	"anyport/proxy/ratelog"
	"anyport/proxy/route"
)

// loop is one listener, its flows, and the epoll instance that watches them all.
type loop struct {
	listener int
	in       *datagram.ReceiveBatch
	out      outbox
	dropped  uint32 // by the kernel, as the listener last said

	newcomers newcomers
	copies    copies
	mirrored  route.Mirror // may be nil

	epoll  int
	orders *mailbox.Queue
	turn   uint32
	left   bool // another process has the flows
	pace   call.Pace
	byFD   []owner
	shared map[sharedKey]*shared
	egress egress
	table  table
	dialer datagram.Dialer
	log    ratelog.Log
}

func newLoop(opt Options, i int, share share) (*loop, error) {
	in, err := datagram.NewReceiveBatch(datagram.BufferSize)
	if err != nil {
		return nil, err
	}
	l := &loop{
		listener: opt.Listeners[i],
		in:       in,
		dialer:   datagram.NewDialer(opt.Listeners[i]),
		shared:   map[sharedKey]*shared{},
		egress:   egress{opt.Raw, map[key]*flow{}},
		mirrored: opt.Mirror,
		log:      ratelog.Log{Logger: opt.Log},
	}
	l.table = table{
		routes: opt.Routes, shard: opt.FirstShard + i, may: share.flows, mayOwn: share.sockets, sockets: l,
		replies: newReplies(share.replies, share.voices, func(dst netip.AddrPort) (datagram.ReplySocket, error) { return datagram.OpenReply(dst, opt.Raw) }, l.closeReply),
		record:  opt.Record, report: l.log.Warn, warn: opt.Log.Warn, say: l.say, epoch: share.epoch,
		patience: answerPatience, budgets: share.budgets, mostPerClient: share.mostPerClient,
	}
	l.table.init()
	l.out.refused = l.met
	datagram.WantTrains(l.listener)
	datagram.WantTOS(l.listener, netip.IPv4Unspecified()) // it may take both families
	datagram.WantTOS(l.listener, netip.IPv6Unspecified())
	if err := l.open(); err != nil {
		in.Close()
		return nil, err
	}
	return l, nil
}

// open makes the epoll instance, with the listener and the orders in it.
func (l *loop) open() (err error) {
	if l.orders, err = mailbox.New(); err != nil {
		return err
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		l.orders.Close()
		return fmt.Errorf("opening an epoll instance: %w", err)
	}
	for _, fd := range []int{l.orders.FD(), l.listener} {
		if err = l.watch(fd, 0); err != nil {
			l.shut()
			return err
		}
	}
	return nil
}

// shut closes what open has opened.
func (l *loop) shut() {
	unix.Close(l.epoll)
	l.orders.Close()
}

// close gives back all that the loop holds, once nobody gives orders any more.
func (l *loop) close() {
	l.shut()
	l.in.Close()
}

// watch asks for fd's events, which carry the generation. They are
// level-triggered: a socket with more than a batch comes up again, after the others.
func (l *loop) watch(fd int, generation uint32) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd), Pad: int32(generation)}
	if err := call.EpollAdd(l.epoll, fd, &event); err != nil {
		return fmt.Errorf("watching a socket: %w", err)
	}
	return nil
}

// run is the loop. It returns once it has drained, or left its flows to another process.
func (l *loop) run() error {
	defer l.orders.End()
	defer func() { l.table.endAll(route.RelayFailed, l.now()) }() // none is left, but after an error
	events := make([]unix.EpollEvent, 256)
	for !l.done() {
		n, err := unix.EpollWait(l.epoll, events, l.timeout())
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("waiting for datagrams: %w", err)
		}
		now := l.now()
		l.handle(events[:max(n, 0)], now)
		if set := l.table.routes.Set(); set != l.table.set {
			l.table.reloaded(set, now)
		}
		l.table.expire(now)
		l.pace.Yield(now)
	}
	return nil
}

func (l *loop) done() bool { return l.left || l.table.draining && len(l.table.flows) == 0 }

func (l *loop) now() time.Duration { return time.Since(l.table.epoch) }

// timeout is how long the loop may wait, in milliseconds; -1 = for ever.
func (l *loop) timeout() int {
	if !l.newcomers.queue.empty() {
		return 0
	}
	due, ok := l.table.next()
	if !ok {
		return -1
	}
	return int(max(0, (due-l.now()+time.Millisecond-1)/time.Millisecond))
}

// handle does one turn's work: first all that origins have sent, which is of live
// flows, then what clients have, then orders.
func (l *loop) handle(events []unix.EpollEvent, now time.Duration) {
	var listener, ordered uint32
	l.turn++
	for _, event := range events {
		switch fd := int(event.Fd); fd {
		case l.listener:
			listener = event.Events
		case l.orders.FD():
			ordered = event.Events
		default:
			// The fd may be another flow's since this batch of events was read, or nobody's.
			o := l.owner(fd)
			if o.generation() != uint32(event.Pad) {
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
	l.beginWaiting(now)
	if ordered != 0 {
		l.beginAll(now) // an order may be to leave, or to take nobody new
		l.orders.Run()
	}
}
