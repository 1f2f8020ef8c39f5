package tcp

import (
	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// giveAway has the conns of all loops go to another process, as far as it takes them.
func giveAway(loops []*loop, give func([]Conn) error) error {
	for _, l := range loops {
		if err := l.giveAway(give); err != nil {
			return err
		}
	}
	return nil
}

// giveAway asks the loop once a batch, for a busy one comes to it only after a while.
func (l *loop) giveAway(give func([]Conn) error) (err error) {
	for from, before := 0, []*conn(nil); ; {
		var b batch
		asked := l.orders.Do(func() {
			l.resolve(before, err == nil)
			if err == nil {
				b, from = l.lift(from)
			}
		})
		if !asked {
			closeLifted(before)
		}
		if len(b.conns) == 0 {
			return err
		}
		err, before = give(b.given), b.conns
	}
}

// batch is conns that were lifted: they have their slots and are counted, but until it is
// resolved the loop does nothing for them.
type batch struct {
	conns []*conn
	given []Conn
}

// lift takes a batch of conns, from a slot on, out of service. It returns the slot after
// the last.
func (l *loop) lift(from int) (b batch, next int) {
	l.retire() // or the news of a reload would stay here
	for held := 0; from < len(l.slots) && len(b.conns) < MoveBatch && held < moveHeld; from++ {
		c := l.slots[from]
		if c == nil || !c.movable() {
			continue
		}
		l.suspend(c)
		out := l.moved(c)
		held += out.held()
		b.conns, b.given = append(b.conns, c), append(b.given, out)
	}
	return b, from
}

// suspend has the loop hear nothing of a conn any more. Closing its sockets would not do
// that: while another process has them too, they stay in this one's epoll (epoll(7)).
func (l *loop) suspend(c *conn) {
	c.moving = true
	l.timers.Stop(&c.timer)
	for _, e := range c.ends {
		_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, int(e.fd), nil)
	}
	for d := range c.ways {
		l.settle(&c.ways[d])
	}
}

// resolve ends the move of lifted conns: they are another's, or are put back.
func (l *loop) resolve(lifted []*conn, gone bool) {
	for _, c := range lifted {
		if gone {
			l.forget(c)
			c.closeFiles()
			continue
		}
		c.moving = false
		l.enter(c)
	}
	if gone {
		l.reopen()
	}
}

// closeLifted is for conns whose loop has ended, by an error, while they were given away.
func closeLifted(lifted []*conn) {
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
