package tcp

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/buffers"
	"anyport/proxy/call"
	"anyport/proxy/mailbox"
	"anyport/proxy/panics"
	"anyport/proxy/pipes"
	"anyport/proxy/quota"
	"anyport/proxy/ratelog"
	"anyport/proxy/route"
	"anyport/proxy/socket"
	"anyport/proxy/wheel"
)

// loop is one event loop with the conns that it accepted. Serve owns it; only its own goroutine
// (run) touches it, and shares nothing with other loops. What others ask of it comes through its
// mailbox.
type loop struct {
	shard  int // of the routes' Stats, where it counts
	routes *route.Live
	ids    route.IDs
	mirror route.Mirror
	log    ratelog.Log

	started time.Time
	now     time.Duration // since started, read once a turn
	pace    call.Pace

	sockets        sockets // the calls on conns' sockets
	epoll          int
	mailbox        *mailbox.Queue
	set            *route.Set       // the generation of routes that applyReload has last seen
	recording      *route.Recording // that applyRecording has last seen
	downs          uint64           // routes.Downs when closeDown last looked
	overs          uint64           // routes.Overs when closeInactive last looked
	listeners      []int
	sharesListener bool          // with other loops
	acceptPaused   bool          // while another process may be about to accept
	unprepared     map[int]bool  // listeners whose queue may hold conns from before SetOptions
	drainBegan     time.Duration // when the loop began to drain; 0: it does not
	drainAtLeast   time.Duration // takes the place of shorter drain_timeouts

	slots          []*conn  // conns by their number, which epoll's events carry; nil: free
	free           []uint32 // free slots
	connCount      int      // slots in use
	generation     uint32   // of the newest conn; never 0
	ending         []ending // conns to end before their time
	ready          []*conn  // conns that have steps left: the bound of a turn stopped them
	readySpare     []*conn  // memory for the next ready list
	clients        connsByClient
	timers         wheel.Wheel[*conn]
	throttles      map[*conn]*throttle // of conns that take from a route_bandwidth
	queued         queued              // conns in state waiting
	uniqueIDs      map[*conn]string    // of the conns whose origin got one
	files          *quota.Quota        // of conns and pipes
	arrivalFiles   int                 // part of files that is kept for conns of another process
	gate           gate
	evictNotBefore time.Duration // evictFor does not search for idle conns before this moment
	pipes          pipes.Pool
	buffers        buffers.Store
	fullSources    fullSources
	dialCount      int // picks a route's source address in turn
	ports          socket.Ports

	outbox     outbox // every read of every conn that relays goes through it
	readBuffer []byte // PROXY headers, and what is sent with them
	events     [256]unix.EpollEvent
}

// openFDs opens the loop's own fds and begins to watch its listeners. closeLoop undoes it, except
// for the mailbox, which other goroutines may still use.
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

// closeLoop ends what is still there: nothing after an orderly drain.
func (l *loop) closeLoop() {
	for _, c := range l.slots {
		if c != nil && !c.moving { // endMove or closeMoved ends a conn that moves
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

// run turns until the loop has drained, or epoll or a listener fails. It is a goroutine that
// runLoops starts, and not locked to a thread: if all processors are taken when epoll_wait returns,
// the scheduler can continue it on whichever thread gets one first, without a switch to this one.
func (l *loop) run() error {
	defer l.mailbox.End()
	defer l.closeLoop()
	defer panics.Rethrow()
	for !l.drained() {
		n, err := unix.EpollWait(l.epoll, l.events[:], l.epollTimeout())
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("epoll_wait", err)
		}
		l.now = l.clock()
		if err := l.turn(l.events[:max(n, 0)]); err != nil {
			return err
		}
		l.pace.Yield(l.now, l.clock)
	}
	return nil
}

// turn handles the events, then the conns that earlier turns have left, then the timers. Events come
// first: they may show that a conn whose timer is due has moved bytes.
func (l *loop) turn(events []unix.EpollEvent) error {
	l.outbox.collecting = len(events) > 1
	for i := range events {
		if err := l.handleEvent(&events[i]); err != nil {
			return err
		}
	}
	l.outbox.collecting = false
	l.sendCollected()
	l.serveReady()
	l.endDue()
	l.timers.Advance(l.now, endsATurn, l.fire)
	return l.acceptLastConns()
}

// fire does what a timer of the loop is for.
func (l *loop) fire(t *wheel.Timer[*conn]) {
	switch c := t.Value; {
	case c == nil: // the gate's is the only timer without a conn
		l.retryGate()
	case t == &c.timer:
		l.timerFired(c)
	default:
		l.pauseOver(c)
	}
}

// serveConn takes the steps that a conn can take now.
func (l *loop) serveConn(c *conn) {
	switch {
	case c.moving:
	case c.state == naming:
		l.readInbound(c)
	case c.state == dialling:
		l.dialEvent(c)
	case c.state == waiting:
		l.waitEvent(c)
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

// serveReady serves the ready list once. A conn that is still not done goes on the next list, so
// that events of others come between.
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

// epollTimeout is how long epoll may wait, in milliseconds; -1: without a limit.
func (l *loop) epollTimeout() int {
	if len(l.ready) > 0 || len(l.ending) > 0 || l.hasLastConns() {
		return 0
	}
	wait := l.timers.Wait(l.now)
	if wait == wheel.Never {
		return -1
	}
	wait = min(wait, time.Hour) // epoll_wait counts milliseconds in 32 bits
	return int((wait + time.Millisecond - 1) / time.Millisecond)
}

// clock reads the clock; l.now, which the turn has read, costs nothing.
func (l *loop) clock() time.Duration { return time.Since(l.started) }
