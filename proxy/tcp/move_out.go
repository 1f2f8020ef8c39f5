package tcp

import (
	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// moveConns has the conns of all loops go to another process, as far as it takes them.
func moveConns(loops []*loop, give func([]Conn) error) error {
	for _, l := range loops {
		if err := l.moveConns(give); err != nil {
			return err
		}
	}
	return nil
}

// moveConns asks the loop once a batch, for a busy one comes to it only after a while.
func (l *loop) moveConns(give func([]Conn) error) (err error) {
	for from, before := 0, []*conn(nil); ; {
		var b moveBatch
		asked := l.mailbox.Do(func() {
			l.endMove(before, err == nil)
			if err == nil {
				b, from = l.suspendBatch(from)
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

// moveBatch is conns that were lifted: they have their slots and are counted, but until it is
// resolved the loop does nothing for them.
type moveBatch struct {
	conns    []*conn
	exported []Conn
}

// suspendBatch takes a batch of conns, from a slot on, out of service. It returns the slot after
// the last.
func (l *loop) suspendBatch(from int) (b moveBatch, next int) {
	l.applyReload() // or the news of a reload would stay here
	for held := 0; from < len(l.slots) && len(b.conns) < MoveBatch && held < moveHeld; from++ {
		c := l.slots[from]
		if c == nil || !c.movable() {
			continue
		}
		l.suspendConn(c)
		out := l.exportConn(c)
		held += out.heldBytes()
		b.conns, b.exported = append(b.conns, c), append(b.exported, out)
	}
	return b, from
}

// suspendConn has the loop hear nothing of a conn any more. Closing its sockets would not do
// that: while another process has them too, they stay in this one's epoll (epoll(7)).
func (l *loop) suspendConn(c *conn) {
	c.moving = true
	l.timers.Stop(&c.timer)
	for _, e := range c.ends {
		_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, int(e.fd), nil)
	}
	for d := range c.ways {
		l.returnPipe(&c.ways[d])
	}
}

// endMove ends the move of lifted conns: they are another's, or are put back.
func (l *loop) endMove(lifted []*conn, gone bool) {
	for _, c := range lifted {
		if gone {
			l.removeConn(c)
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

// closeMoved is for conns whose loop has ended, by an error, while they were given away.
func closeMoved(lifted []*conn) {
	for _, c := range lifted {
		c.closeFiles()
	}
}

// closeFiles leaves the sockets as they are to who else has them.
func (c *conn) closeFiles() {
	for _, e := range c.ends {
		call.Close(int(e.fd))
	}
}
