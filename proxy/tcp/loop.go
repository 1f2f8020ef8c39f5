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

	sockets        sockets
	epoll          int
	mailbox        *mailbox.Queue
	set            *route.Set // the generation of routes last seen
	listeners      []int
	sharesListener bool          // its listener, with other loops
	acceptPaused   bool          // another process may be about to accept
	unprepared     map[int]bool  // listeners whose queue may hold conns from before prepare
	drainBegan     time.Duration // 0: not draining
	drainAtLeast   time.Duration // what conns have whose drain_timeout is shorter

	slots          []*conn
	free           []uint32 // slots
	connCount      int
	generation     uint32
	ready          []*conn // stopped by the bound of their turn
	readySpare     []*conn // its memory, while the other is filled
	clients        connsByClient
	timers         wheel.Wheel[*conn]
	files          *quota.Quota // of conns and pipes
	arrivalFiles   int          // files of it that are kept for conns of another process
	gate           gate
	evictNotBefore time.Duration // no search for idle conns before this moment
	pipes          pipes.Pool
	buffers        buffers.Store
	dialCount      int
	ports          socket.Ports

	readBuffer []byte
	events     [256]unix.EpollEvent
}

// openFDs makes the loop's own fds and begins to listen. close undoes it, but for the
// orders: others may still be giving some.
func (l *loop) openFDs() (err error) {
	l.epoll = -1
	if l.mailbox, err = mailbox.New(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			l.closeLoop()
			l.mailbox.Close()
		}
	}()
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := l.watchMailbox(); err != nil {
		return err
	}
	for _, fd := range l.listeners {
		if err := l.watchListener(fd); err != nil {
			return err
		}
	}
	return nil
}

// closeLoop ends what is still there, which is nothing after an orderly drain.
func (l *loop) closeLoop() {
	for _, c := range l.slots {
		if c != nil && !c.moving { // else it is in the hands of who moves it
			l.endConn(c, route.RelayFailed)
		}
	}
	l.pipes.CloseSpare()
	if n := l.gate.takeParked(); n.exists() {
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
	defer l.mailbox.End()
	defer l.closeLoop()
	for !l.drained() {
		n, err := unix.EpollWait(l.epoll, l.events[:], l.epollTimeout())
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("epoll_wait", err)
		}
		l.now = l.clock()
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
		if err := l.handleEvent(&events[i]); err != nil {
			return err
		}
	}
	l.serveReady()
	l.timers.Advance(l.now, func(t *wheel.Timer[*conn]) {
		if t.Value == nil {
			l.retryGate()
		} else {
			l.timerFired(t.Value)
		}
	})
	return l.acceptLastConns()
}

func (l *loop) serveConn(c *conn) {
	switch {
	case c.moving:
	case c.state == dialling:
		l.dialEvent(c)
	case c.state == relaying:
		l.relayConn(c)
	}
}

// markReady puts a conn on the ready list, which is served before the next wait.
func (l *loop) markReady(c *conn) {
	if !c.queued {
		c.queued = true
		l.ready = append(l.ready, c)
	}
}

func (l *loop) serveReady() {
	waiting := l.ready
	l.ready = l.readySpare[:0]
	for _, c := range waiting {
		c.queued = false
		l.serveConn(c)
	}
	clear(waiting)
	l.readySpare = waiting
}

// epollTimeout is how long epoll may wait, in milliseconds; -1 is for ever.
func (l *loop) epollTimeout() int {
	if len(l.ready) > 0 || l.hasLastConns() {
		return 0
	}
	wait := l.timers.Wait(l.now)
	if wait == wheel.Never {
		return -1
	}
	wait = min(wait, time.Hour) // epoll_wait counts milliseconds in 32 bits
	return int((wait + time.Millisecond - 1) / time.Millisecond)
}

// clock is the moment of the call; now, that of the turn, is cheaper.
func (l *loop) clock() time.Duration { return time.Since(l.started) }
