// Package tcp carries conns from their first byte to their last, on a few event
// loops. This is the life of a conn, step by step:
//
//   - accept (accept.go). One loop takes it from a listener's queue and keeps it
//     to its end. dst is the accepted socket's own name, for steering leaves it
//     as the client wrote it. A dst that no route forwards, and a client that its
//     route does not admit, get RST. When fds run out, conns wait in the queue
//     (gate.go).
//   - dial (dial.go). The route's origins are asked one after the other, until
//     one accepts. Nothing is read from the client before that, so nothing is
//     lost on an origin that fails.
//   - header. The PROXY header goes out as soon as the origin has accepted, in
//     one write with what the client has sent by then. It waits for no byte of
//     the client: the origin may be the one to speak first.
//   - relay (relay.go). Both ways by read and write through one buffer of the
//     loop's; what the other side does not take is kept, and no more is read until
//     it is taken, so that a stalled reader stops its sender. A way whose reads
//     fill the buffer time and again borrows a pipe (pipe.go) and splices.
//   - close (life.go, drain.go). FIN is passed on once all before it is; the other way
//     lives on, up to half_close_timeout without a byte. The second FIN ends the
//     conn. RST and every other end are passed on as RST, and what came before an
//     RST is delivered first if that needs no waiting: a conn that was cut never
//     looks complete.
//
// When another process takes over, it accepts from the same listeners (handover.go), and
// the conns that there are go there, too, a batch after the other (move.go).
//
// Urgent data is passed in-band: each byte arrives in its place, its mark does not.
//
// What happens next is decided in decide.go, by functions of a conn's state alone;
// poll.go turns events into that state. Each socket stands in its loop's epoll
// once, edge-triggered. An idle conn owns two fds, its struct and a place in the
// loop's timer wheel (wheel.go): no goroutine, no buffer, no pipe.
package tcp

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"anyport/proxy/mailbox"
	"anyport/proxy/quota"
	"anyport/proxy/ratelog"
	"anyport/proxy/route"
	"anyport/proxy/tcp/buffers"
	"anyport/proxy/tcp/socket"
)

// Options is what Serve needs.
type Options struct {
	// Listeners are listening sockets: raw fds, the caller's, who keeps them open
	// until Serve has returned. Serve makes them non-blocking and sets TCP_NODELAY
	// and SO_OOBINLINE. Loops share them out evenly; where there are fewer
	// listeners than loops, loops share a listener.
	Listeners []int

	Loops      int                // event loops, at least 1; one a core
	FirstShard int                // loop i counts in shard FirstShard+i of the routes' Stats
	Routes     *route.Live        // asked once a conn
	Record     func(route.Record) // called from the loops once a conn has ended or was refused; must not block; may be nil
	Mirror     route.Mirror       // told of the dst of a conn that every origin has refused; may be nil
	Pulse      *mailbox.Pulse     // asks the loops whether they turn; may be nil
	Log        *slog.Logger

	// Files are how many files each loop may hold for its conns, beside DoorFiles; nil:
	// no bound. Expected of them are kept for Arrivals, until an empty one says that
	// there are no more.
	Files    []*quota.Quota
	Expected int

	Opened    func()              // called once all loops have their files; may be nil
	Handovers <-chan func() error // see Serve; may be nil
	Moves     <-chan Move         // likewise
	Arrivals  <-chan []Conn       // of another process, each of which has passed its Check; likewise
}

// Serve accepts and relays conns until ctx is done. From then on it takes no more
// than those that wait in the accept queues by now, and returns nil when the last
// conn has ended or its route's Drain timeout has cut it. An error of a conn ends
// that conn; an error returned is one of epoll or of a listener.
//
// What comes from Handovers is called while no loop accepts. If it returns nil, another
// process accepts from then on, and the conns that there are end as after ctx, unless
// Moves has them go there first; what waits in the queues is left to the other. After an
// error all go on. The FDs of Arrivals are Serve's.
func Serve(ctx context.Context, opt Options) error {
	if opt.Loops < 1 || len(opt.Listeners) == 0 {
		return errors.New("tcp: at least one loop and one listener are needed")
	}
	for _, fd := range opt.Listeners {
		// A blocking one would freeze its loop, and os.File.Fd makes it so.
		if err := unix.SetNonblock(fd, true); err != nil {
			return os.NewSyscallError("fcntl O_NONBLOCK", err)
		}
		if err := socket.SetOptions(fd); err != nil {
			return err
		}
	}
	loops, err := openLoops(opt)
	if err != nil {
		return err
	}
	defer closeMailboxes(loops)
	for _, l := range loops {
		defer opt.Routes.Watch(l.mailbox.Wake)() // to look for new routes
		defer opt.Pulse.Watch(l.mailbox)()
		defer opt.Routes.Offer(l.listConns)()
	}
	if opt.Opened != nil {
		opt.Opened()
	}
	return runLoops(ctx, loops, opt)
}

// openLoops makes the loops, all of them or none.
func openLoops(opt Options) (loops []*loop, err error) {
	for i := range opt.Loops {
		l := newLoop(opt, i)
		if err := l.openFDs(); err != nil {
			for _, l := range loops {
				l.closeLoop()
			}
			closeMailboxes(loops)
			return nil, err
		}
		loops = append(loops, l)
	}
	return loops, nil
}

// runLoops starts one goroutine a loop, which ends when the loop has drained. A loop that
// fails makes the others drain.
func runLoops(ctx context.Context, loops []*loop, opt Options) (err error) {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range loops {
		group.Go(l.run)
	}
	ended := make(chan struct{})
	go func() { // ends after the last loop
		err = group.Wait()
		close(ended)
	}()
	serveRequests(ctx, loops, opt, ended)
	return err
}

func closeMailboxes(loops []*loop) {
	for _, l := range loops {
		l.mailbox.Close()
	}
}

func newLoop(opt Options, i int) *loop {
	l := &loop{
		shard:          opt.FirstShard + i,
		routes:         opt.Routes,
		record:         opt.Record,
		mirror:         opt.Mirror,
		log:            ratelog.Log{Logger: opt.Log},
		started:        time.Now(),
		set:            opt.Routes.Set(),
		listeners:      listenersOf(opt.Listeners, i, opt.Loops),
		sharesListener: len(opt.Listeners) < opt.Loops,
		unprepared:     map[int]bool{},
		sockets:        socket.Kernel{},
		ports:          socket.LocalPorts(),
		clients:        newConnsByClient(),
		buffers:        buffers.NewStore(opt.Loops),
		readBuffer:     make([]byte, buffers.Size),
	}
	for _, fd := range l.listeners {
		l.unprepared[fd] = true
	}
	if l.record == nil {
		l.record = func(route.Record) {}
	}
	if opt.Files != nil {
		l.files, l.pipes.Files = opt.Files[i], opt.Files[i]
	}
	l.reserveArrivals(opt.Expected / opt.Loops)
	return l
}

// listenersOf is loop i's part of the listeners.
func listenersOf(listeners []int, i, loops int) (own []int) {
	for n, fd := range listeners {
		if k := min(len(listeners), loops); n%k == i%k {
			own = append(own, fd)
		}
	}
	return own
}
