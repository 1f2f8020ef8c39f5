package tcp

import (
	"sync"
	"time"

	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// A conn waits in state waiting while all origins that it could go to have their max_conns: it holds
// its client's socket, which nothing is read from, and no other. The order is that of the route's
// queue, which all loops share; who comes first is decided there.

// queued is what a loop has in the queues of routes. It costs nothing while no conn waits.
type queued struct {
	places map[*conn]*place

	suspended bool // the loop's conns move to another process: those that wait have no place

	mu     sync.Mutex // of called, which the goroutine that frees a place appends to
	called []*conn    // they look for an origin in the next turn; some may have ended
}

// place is a conn's place in a queue.
type place struct {
	origin.Waiter
	queue   *origin.Queue
	overdue bool // the conn had waited for its queue_timeout already when its route came into service
}

// behindOthers reports whether other conns of the route wait for an origin, and come before c. A conn
// that goes on to its next origin has had its turn. While conns move to another process, each conn
// waits for an origin there.
func (l *loop) behindOthers(c *conn) bool {
	if c.route.Queue == 0 || c.state == waiting {
		return false
	}
	return l.queued.suspended || len(c.tried) == 0 && l.queueOf(c).Waiting() > 0
}

// queueOf is where a conn waits for an origin.
func (l *loop) queueOf(c *conn) *origin.Queue { return c.route.Origins().Queue(l.ask(c)) }

// waitForOrigin puts a conn into the queue, if there is room. A conn that is in it already keeps its
// place.
func (l *loop) waitForOrigin(c *conn) {
	switch {
	case c.state == waiting:
		l.passCall(c)
	case c.route.Queue == 0:
		l.endConn(c, route.OverOriginConns)
	case c.clientLeft(l.sockets):
		l.endConn(c, route.QueueAbandoned)
	case !l.joinQueue(c, l.clock(), c.route.Queue):
		l.endConn(c, route.QueueFull)
	default:
		l.callFirst(c)
	}
}

// joinQueue has a conn wait since a moment, unless most conns wait already.
func (l *loop) joinQueue(c *conn, since time.Duration, most int) bool {
	if !l.queued.suspended {
		p := &place{queue: l.queueOf(c)}
		p.Waiter = origin.Waiter{Client: c.client.Addr(), Since: l.moment(since), Call: func() { l.call(c) }}
		if !p.queue.Join(&p.Waiter, most) {
			return false
		}
		l.queued.places[c] = p
	}
	c.state, c.dialled = waiting, since
	l.limitWait(c)
	return true
}

// limitWait has the wait of a conn end after the queue_timeout of its route.
func (l *loop) limitWait(c *conn) {
	if p := l.queued.places[c]; p != nil {
		at, _ := c.timeoutAt(c.route.Timeouts)
		p.overdue = at <= l.clock()
	}
	l.setTimer(c)
}

// waitTimedOut ends a conn that has waited for queue_timeout, unless an origin has a place for it: if
// it is the first of its queue, it is served. A conn that is overdue waits until the conns before it
// are served. The reload or upgrade that made it overdue may have made room, too, and the call for
// that goes from one conn to the next, through their loops. A timer must not overtake it.
func (l *loop) waitTimedOut(c *conn) {
	p := l.queued.places[c]
	switch {
	case p == nil || !c.route.Origins().HasRoom(l.ask(c)):
	case p.queue.IsFirst(&p.Waiter):
		l.serveFirst(c, p)
	case p.overdue:
		p.queue.CallFirst()
		l.setTimer(c)
		return
	}
	if c.state == waiting {
		l.endConn(c, route.QueueTimedOut)
	}
}

// callFirst has the first of c's queue called if there is room: a place may have been freed before c
// was in the queue, or c waits behind others that cannot take it.
func (l *loop) callFirst(c *conn) {
	if p := l.queued.places[c]; p != nil && l.hasRoom(c) {
		p.queue.CallFirst()
	}
}

// hasRoom reports whether there is an origin for a conn of c's route that has tried none yet.
func (l *loop) hasRoom(c *conn) bool {
	ask := l.ask(c)
	ask.Tried = nil
	return c.route.Origins().HasRoom(ask)
}

// call is the Call of a conn of this loop: any goroutine may be its caller.
func (l *loop) call(c *conn) {
	l.queued.mu.Lock()
	l.queued.called = append(l.queued.called, c)
	l.queued.mu.Unlock()
	l.mailbox.Wake()
}

// serveCalled looks for an origin for each conn that was called.
func (l *loop) serveCalled() {
	l.queued.mu.Lock()
	called := l.queued.called
	l.queued.called = nil
	l.queued.mu.Unlock()
	for _, c := range called {
		p := l.queued.places[c]
		if p == nil { // it has ended, or moves to another process
			continue
		}
		if p.queue.Answer(&p.Waiter) {
			l.endConn(c, route.QueueFull)
			continue
		}
		l.serveFirst(c, p)
	}
}

// serveFirst looks for an origin for a conn whose turn it is.
func (l *loop) serveFirst(c *conn, p *place) {
	if l.dialNext(c, route.NoOrigin); c.state != waiting {
		p.queue.CallFirst() // there may be room for the next one too
	}
}

// passCall leaves what is free to the conn behind c: c has tried those origins.
func (l *loop) passCall(c *conn) {
	if p := l.queued.places[c]; p != nil && l.hasRoom(c) {
		p.queue.PassOn(&p.Waiter)
	}
}

// leaveQueue ends the wait of a conn: it is dialled now, or ends. Without a place in a queue it does
// nothing.
func (l *loop) leaveQueue(c *conn) {
	if c.state == waiting {
		l.giveUpPlace(c)
		c.state = dialling
	}
}

// giveUpPlace takes a conn out of the queue. Its timer goes on.
func (l *loop) giveUpPlace(c *conn) {
	if p := l.queued.places[c]; p != nil {
		delete(l.queued.places, c)
		p.queue.Leave(&p.Waiter)
	}
}

// waitEvent ends a conn whose client has left while it waited.
func (l *loop) waitEvent(c *conn) {
	if c.clientLeft(l.sockets) {
		l.endConn(c, route.QueueAbandoned)
	}
}

// clientLeft reports whether the client has sent RST, or FIN and nothing before it. After a question
// and FIN it may wait for the answer.
func (c *conn) clientLeft(on sockets) bool {
	e, header := &c.ends[clientEnd], 0
	if c.inbound != nil {
		header = c.inbound.size
	}
	return e.failed || e.hungUp && int(on.Unread(e.fd)) <= header
}
