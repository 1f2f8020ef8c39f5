package tcp

import (
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// addConn gives a conn its slot, its generation and its place among its client's conns. The caller
// has taken its files and has had its route count it; removeConn gives back both.
func (l *loop) addConn(c *conn) {
	l.generation++
	if l.generation == 0 { // stands for the loop's own events
		l.generation++
	}
	c.generation = l.generation // before the sockets are watched: events carry it
	c.began, c.active = l.now, l.now
	if c.id == 0 { // it does not come from another process that has named it
		c.id = l.ids.Next()
	}
	c.timer.Value = c // without one, it is the gate's timer
	l.limitByDrain(c)
	if last := len(l.free) - 1; last >= 0 {
		c.slot, l.free = l.free[last], l.free[:last]
	} else {
		c.slot = uint32(len(l.slots))
		l.slots = append(l.slots, nil)
	}
	l.slots[c.slot] = c
	l.connCount++
	l.addToClient(c)
}

// removeConn undoes addConn and gives back all that a conn has, except its sockets.
func (l *loop) removeConn(c *conn) {
	l.leaveQueue(c)
	delete(l.uniqueIDs, c)
	c.state = closed // steps and timers of the same turn may still come to it
	l.timers.Stop(&c.timer)
	l.endTurns(c)
	for d := range c.ways {
		l.releaseWay(&c.ways[d])
	}
	l.removeFromClient(c)
	l.slots[c.slot] = nil
	l.free = append(l.free, c.slot)
	l.connCount--
	l.files.Give(connFiles)
	c.leaveOrigin()
	c.release()
}

// releaseWay gives back what a way holds, with the bytes in it.
func (l *loop) releaseWay(w *way) {
	if w.held != nil {
		l.buffers.Drop(w.held)
		w.held = nil
	}
	if w.pipe != nil {
		l.pipes.Return(w.pipe)
		w.pipe = nil
	}
}

// atGate is the place before the first slot, of the conn that is parked at the gate.
const atGate = -1

// listConns begins a list of the loop's conns, by their slots. The function that it returns is
// called from other goroutines; the loop itself fills each page.
func (l *loop) listConns() func(page []route.Conn) []route.Conn {
	slot := atGate
	return func(page []route.Conn) []route.Conn {
		if !l.mailbox.Do(func() { page, slot = l.pageFrom(page, slot) }) {
			return nil
		}
		return page
	}
}

// pageFrom appends a page of the conns from a slot on, and returns the slot after the last. Slots do
// not move, so a conn that lives through the whole list is in it once.
func (l *loop) pageFrom(page []route.Conn, from int) ([]route.Conn, int) {
	if from == atGate {
		page, from = l.listParked(page), 0
	}
	for ; from < len(l.slots) && len(page) < route.PageSize; from++ {
		if c := l.slots[from]; c != nil {
			page = append(page, c.listed(l.now))
		}
	}
	return page, from
}

// listed is the conn as `anyport flows` shows it.
func (c *conn) listed(now time.Duration) route.Conn {
	listed := route.Conn{
		ID: c.id, Protocol: config.TCP, State: c.listedState(),
		Route: c.route.Name, Client: c.client, Peer: c.peer(), Dst: c.dst, Age: now - c.began, Idle: now - c.active,
		ToOrigin: c.ways[route.ToOrigin].bytes, ToClient: c.ways[route.ToClient].bytes,
	}
	if c.state == relaying {
		listed.Origin = c.origin.At(c.dst.Port())
	}
	return listed
}

// listedState is the state of a conn that has a slot, as `anyport flows` shows it.
func (c *conn) listedState() route.ConnState {
	switch {
	case c.state == naming:
		return route.Naming
	case c.state == waiting:
		return route.Waiting
	case c.state == dialling:
		return route.Connecting
	case c.ways[route.ToOrigin].ended || c.ways[route.ToClient].ended:
		return route.HalfClosed
	}
	return route.Open
}

// killConns ends the conns that match. Other goroutines call it; the loop looks at a page of them at a
// time, so that the others do not wait.
func (l *loop) killConns(match func(*route.Conn) bool) (ended int) {
	for slot, more := atGate, true; more; {
		if !l.mailbox.Do(func() {
			var n int
			n, slot = l.killFrom(slot, match)
			ended, more = ended+n, slot < len(l.slots)
		}) {
			return ended
		}
	}
	return ended
}

// killFrom ends those among the next conns from a slot on, and returns the slot after the last.
func (l *loop) killFrom(from int, match func(*route.Conn) bool) (ended, next int) {
	if from == atGate {
		if l.killParked(match) {
			ended++
		}
		from = 0
	}
	for next = from; next < min(from+route.PageSize, len(l.slots)); next++ {
		c := l.slots[next]
		if c == nil || c.moving { // the other process may have it already
			continue
		}
		if listed := c.listed(l.now); match(&listed) {
			l.closeConn(c, route.Killed)
			ended++
		}
	}
	if ended > 0 {
		l.reopenGate()
	}
	return ended, next
}
