package tcp

import (
	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// moveConns moves the conns of all loops to another process, until give fails. Those that wait for an
// origin come after those that have one: the other process then knows how many conns the origins have.
// Those whose PROXY header has not come yet are last, behind the ones that wait already.
func moveConns(loops []*loop, give func([]Conn) error) error {
	onEachLoop(loops, (*loop).suspendWaiting)
	for _, which := range []func(*conn) bool{(*conn).hasOrigin, (*conn).isWaiting, (*conn).isAny} {
		for _, l := range loops {
			if err := l.moveConns(which, give); err != nil {
				onEachLoop(loops, (*loop).resumeWaiting)
				onEachLoop(loops, (*loop).callWaiting)
				return err
			}
		}
	}
	return nil
}

func (c *conn) isWaiting() bool { return c.state == waiting }

func (c *conn) isAny() bool { return true }

// moveConns moves those of the loop's conns in batches: the loop suspends one, give sends it to the other
// process while the loop turns on, and with the next request the loop ends the move of that batch.
// One request a batch, since a busy loop takes a while to come to it.
func (l *loop) moveConns(which func(*conn) bool, give func([]Conn) error) (err error) {
	for from, before := 0, []*conn(nil); ; {
		var b moveBatch
		asked := l.mailbox.Do(func() {
			l.endMove(before, err == nil)
			if err == nil {
				b, from = l.suspendBatch(from, which)
			}
		})
		if !asked {
			closeMoved(before)
		}
		if len(b.conns) == 0 {
			return err
		}
		err, before = give(b.exported), b.conns
	}
}

// moveBatch is conns that were suspended: they keep their slots and are counted, but until endMove
// the loop does nothing for them.
type moveBatch struct {
	conns    []*conn
	exported []Conn
}

// suspendBatch suspends a batch of conns, from a slot on, and returns the slot after the last.
func (l *loop) suspendBatch(from int, which func(*conn) bool) (b moveBatch, next int) {
	l.applyReload() // or the other process would not learn which routes are gone
	for held := 0; from < len(l.slots) && len(b.conns) < MoveBatch && held < moveHeld; from++ {
		c := l.slots[from]
		if c == nil || !c.movable() || !which(c) {
			continue
		}
		l.suspendConn(c)
		out := l.exportConn(c)
		held += out.heldBytes()
		b.conns, b.exported = append(b.conns, c), append(b.exported, out)
	}
	return b, from
}

// suspendConn takes a conn out of service: it gets no more events or timers. Closing its sockets
// later would not stop the events: while another process has them too, they stay in this process's
// epoll (epoll(7)).
func (l *loop) suspendConn(c *conn) {
	c.moving = true
	l.giveUpPlace(c)
	l.timers.Stop(&c.timer)
	l.endTurns(c) // the other process takes from a bucket of its own
	for _, e := range c.ends {
		if e.fd >= 0 {
			_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, int(e.fd), nil)
		}
	}
	for d := range c.ways { // an empty pipe stays here
		l.returnPipe(&c.ways[d])
	}
}

// endMove ends the move of suspended conns: the other process has them, or they are resumed here.
func (l *loop) endMove(suspended []*conn, gone bool) {
	for _, c := range suspended {
		if gone {
			l.removeConn(c) // it is neither counted as ended nor recorded: the other process will
			c.closeFiles()
			continue
		}
		c.moving = false
		l.resumeConn(c)
	}
	if gone {
		l.reopenGate()
	}
}

// closeMoved closes the sockets of conns whose loop has failed while they were being moved.
func closeMoved(suspended []*conn) {
	for _, c := range suspended {
		c.closeFiles()
	}
}

// closeFiles closes this process's fds of the sockets. A process that has them too notices nothing.
func (c *conn) closeFiles() {
	for _, e := range c.ends {
		if e.fd >= 0 {
			call.Close(int(e.fd))
		}
	}
}
