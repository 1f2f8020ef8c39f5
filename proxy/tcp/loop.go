package tcp

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/mailbox"
	"anyport/proxy/quota"
	"anyport/proxy/ratelog"
	"anyport/proxy/route"
	"anyport/proxy/tcp/buffers"
	"anyport/proxy/tcp/pipes"
	"anyport/proxy/tcp/socket"
	"anyport/proxy/tcp/wheel"
)

// loop is one event loop, with the conns that it accepted. Nothing of it is
// shared with other loops.
type loop struct {
	shard  int
	routes *route.Live
	record func(route.Record)
	mirror route.Mirror
	log    ratelog.Log

	started time.Time
	now     time.Duration // since started, taken once a turn
	pace    call.Pace

	sockets    sockets
	epoll      int
	orders     *mailbox.Queue
	set        *route.Set // the generation of routes last seen
	listeners  []int
	shares     bool          // its listener, with other loops
	paused     bool          // another process may be about to accept
	older      map[int]bool  // listeners whose queue may hold conns from before prepare
	drainBegan time.Duration // 0: not draining
	drainLeast time.Duration // what conns have whose drain_timeout is shorter

	slots      []*conn
	free       []uint32 // slots
	conns      int
	generation uint32
	ready      []*conn // stopped by the bound of their turn
	resumed    []*conn // its memory, while the other is filled
	clients    clients
	timers     wheel.Wheel[*conn]
	files      *quota.Quota // of conns and pipes
	expected   int          // files of it that are kept for conns of another process
	gate       gate
	evictAgain time.Duration // no search for idle conns before this moment
	pipes      pipes.Pool
	buffers    buffers.Store
	dials      int
	ports      socket.Ports

	scratch []byte
	events  [256]unix.EpollEvent
}

// open makes the loop's own fds and begins to listen. close undoes it, but for the
// orders: others may still be giving some.
func (l *loop) open() (err error) {
	l.epoll = -1
	if l.orders, err = mailbox.New(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			l.close()
			l.orders.Close()
		}
	}()
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := l.watchOrders(); err != nil {
		return err
	}
	for _, fd := range l.listeners {
		if err := l.listen(fd); err != nil {
			return err
		}
	}
	return nil
}

// close ends what is still there, which is nothing after an orderly drain.
func (l *loop) close() {
	for _, c := range l.slots {
		if c != nil && !c.moving { // else it is in the hands of who moves it
			l.end(c, route.RelayFailed)
		}
	}
	l.pipes.CloseSpare()
	if n := l.gate.leaveDoor(); n.waits() {
		l.sockets.Reset(int32(n.fd))
	}
	if l.epoll >= 0 {
		_ = unix.Close(l.epoll)
	}
}

// run turns until the loop has drained, or epoll or a listener fails. It runs as
// a goroutine of Serve's, not locked to a thread: when epoll_wait returns and
// others hold all processors, the scheduler can then go on with whichever thread
// gets the next one, instead of handing over to this one.
func (l *loop) run() error {
	defer l.orders.End()
	defer l.close()
	for !l.done() {
		n, err := unix.EpollWait(l.epoll, l.events[:], l.timeout())
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("epoll_wait", err)
		}
		l.now = l.time()
		if err := l.turn(l.events[:max(n, 0)]); err != nil {
			return err
		}
		l.pace.Yield(l.now)
	}
	return nil
}

// turn handles the events, then what earlier turns left, then what is due.
func (l *loop) turn(events []unix.EpollEvent) error {
	for i := range events {
		if err := l.dispatch(&events[i]); err != nil {
			return err
		}
	}
	l.resume()
	l.timers.Advance(l.now, func(t *wheel.Timer[*conn]) {
		if t.Value == nil {
			l.retry()
		} else {
			l.expire(t.Value)
		}
	})
	return l.lastCalls()
}

func (l *loop) serve(c *conn) {
	switch {
	case c.moving:
	case c.state == dialling:
		l.await(c)
	case c.state == relaying:
		l.relay(c)
	}
}

// queue puts a conn on the ready list, which is served before the next wait.
func (l *loop) queue(c *conn) {
	if !c.queued {
		c.queued = true
		l.ready = append(l.ready, c)
	}
}

func (l *loop) resume() {
	waiting := l.ready
	l.ready = l.resumed[:0]
	for _, c := range waiting {
		c.queued = false
		l.serve(c)
	}
	clear(waiting)
	l.resumed = waiting
}

// timeout is how long epoll may wait, in milliseconds; -1 is for ever.
func (l *loop) timeout() int {
	if len(l.ready) > 0 || l.calling() {
		return 0
	}
	wait := l.timers.Wait(l.now)
	if wait == wheel.Never {
		return -1
	}
	wait = min(wait, time.Hour) // epoll_wait counts milliseconds in 32 bits
	return int((wait + time.Millisecond - 1) / time.Millisecond)
}

// time is the moment of the call; now, that of the turn, is cheaper.
func (l *loop) time() time.Duration { return time.Since(l.started) }
