package tcp

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"anyport/proxy/buffers"
	"anyport/proxy/mailbox"
	"anyport/proxy/quota"
	"anyport/proxy/ratelog"
	"anyport/proxy/route"
	"anyport/proxy/socket"
)

// Options is what Serve needs.
type Options struct {
	// Listeners are the fds of listening sockets. They stay the caller's, which keeps them
	// open until Serve has returned. Serve makes them non-blocking and sets TCP_NODELAY and
	// SO_OOBINLINE. They are divided among the loops; if there are fewer listeners than
	// loops, loops share a listener.
	Listeners []int

	Loops      int            // event loops, at least 1; one for each core
	FirstShard int            // loop i counts in shard FirstShard+i of the routes' Stats
	Routes     *route.Live    // asked once for each conn
	Mirror     route.Mirror   // called with the dst of a conn that every origin has refused; may be nil
	Pulse      *mailbox.Pulse // asks the loops whether they turn; may be nil
	Log        *slog.Logger

	// Files bounds the files that each loop may hold for its conns, in addition to
	// ParkedFiles; nil: no bound. Expected of them are kept for Arrivals, until an empty
	// slice says that no more will come.
	Files    []*quota.Quota
	Expected int

	Opened    func()              // called once all loops have their files; may be nil
	Handovers <-chan func() error // see Serve; may be nil
	Moves     <-chan Move         // may be nil
	Arrivals  <-chan []Conn       // of another process, each of which has passed its Check; may be nil
}

// Serve accepts and relays conns until ctx is done. Then it accepts only what is in the accept
// queues at that moment, and returns nil when the last conn has ended or its route's Drain timeout
// has cut it. An error of a conn ends that conn; an error that Serve returns is one of epoll or of
// a listener.
//
// A function from Handovers is called while no loop accepts. If it returns nil, another process
// accepts from then on and gets what waits in the queues; live conns end as after ctx, unless Moves
// moves them there first. After an error Serve goes on as before. The FDs of Arrivals belong to
// Serve.
func Serve(ctx context.Context, opt Options) error {
	if opt.Loops < 1 || len(opt.Listeners) == 0 {
		return errors.New("tcp: at least one loop and one listener are needed")
	}
	for _, fd := range opt.Listeners {
		// A blocking listener would freeze its loop, and os.File.Fd makes it one.
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
	for i, l := range loops {
		defer opt.Routes.Watch(l.mailbox.Wake)() // it then looks for new routes
		defer opt.Pulse.Watch(l.mailbox, mailbox.Name{Of: "tcp", Number: i}, l.pace.Busy)()
		defer opt.Routes.Offer(route.Loop{List: l.listConns, End: l.killConns})()
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

// runLoops starts one goroutine for each loop, which ends when the loop has drained. If a loop
// fails, the others drain.
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

// closeMailboxes comes last: until then other goroutines may put something into them.
func closeMailboxes(loops []*loop) {
	for _, l := range loops {
		l.mailbox.Close()
	}
}

// newLoop makes loop i without its fds (openFDs).
func newLoop(opt Options, i int) *loop {
	l := &loop{
		shard:          opt.FirstShard + i,
		routes:         opt.Routes,
		ids:            route.NewIDs(),
		mirror:         opt.Mirror,
		log:            ratelog.Log{Logger: opt.Log},
		started:        time.Now(),
		set:            opt.Routes.Set(),
		recording:      opt.Routes.Recording(),
		listeners:      listenersOf(opt.Listeners, i, opt.Loops),
		sharesListener: len(opt.Listeners) < opt.Loops,
		unprepared:     map[int]bool{},
		sockets:        socket.Kernel{},
		ports:          socket.LocalPorts(),
		clients:        newConnsByClient(),
		fullSources:    fullSources{},
		throttles:      map[*conn]*throttle{},
		queued:         queued{places: map[*conn]*place{}},
		uniqueIDs:      map[*conn]string{},
		buffers:        buffers.NewStore(opt.Loops),
		outbox:         outbox{buffer: make([]byte, 2*buffers.Size)},
		readBuffer:     make([]byte, buffers.Size),
	}
	for _, fd := range l.listeners {
		l.unprepared[fd] = true
	}
	if opt.Files != nil {
		l.files, l.pipes.Files = opt.Files[i], opt.Files[i]
	}
	l.reserveArrivals(opt.Expected / opt.Loops)
	return l
}

// listenersOf returns the listeners of loop i: a part of them, or one that it shares.
func listenersOf(listeners []int, i, loops int) (own []int) {
	for n, fd := range listeners {
		if k := min(len(listeners), loops); n%k == i%k {
			own = append(own, fd)
		}
	}
	return own
}
