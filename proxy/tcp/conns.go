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

// listConns begins a list of the loop's conns, by their slots. The function that it returns is
// called from other goroutines; the loop itself fills each page.
func (l *loop) listConns() func(page []route.Conn) []route.Conn {
	slot := 0
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
		ID: c.id, Protocol: config.TCP, Route: c.route.Name, Client: c.client, Peer: c.peer(), Dst: c.dst,
		Waiting: c.state == waiting, Age: now - c.began, Idle: now - c.active,
		ToOrigin: c.ways[route.ToOrigin].bytes, ToClient: c.ways[route.ToClient].bytes,
	}
	if c.state == relaying {
		listed.Origin = c.origin.At(c.dst.Port())
	}
	return listed
}
