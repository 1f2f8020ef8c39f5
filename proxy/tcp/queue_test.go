package tcp_test

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
)

// queueing is a route to origins that have one conn at most, with a queue.
func queueing(queue int, origins ...string) *config.Route {
	r := forward(origins...)
	for i := range r.Origins {
		r.Origins[i].MaxConns = 1
	}
	r.Queue, r.Queued = queue, patience
	return r
}

// waits waits until n conns are in the queue.
func (p *proxy) waits(n int) {
	p.t.Helper()
	await(p.t, func() bool { return p.route.Origins().Waiting() == n }, fmt.Sprintf("not %d conns wait", n))
}

// TestQueueOrder: conns wait for the only place in the order in which they came, whichever loop has
// them; one more than the queue has room for is refused. What they have said meanwhile arrives.
func TestQueueOrder(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, queueing(5, addr))
	held, at := p.pair(conns)
	var queue []*net.TCPConn
	for n := range 5 {
		c := p.dial()
		say(t, c, fmt.Sprint("number ", n))
		queue = append(queue, c)
		p.waits(n + 1)
	}
	p.refused()
	p.ends(route.QueueFull)
	for n, c := range queue {
		held.Close()
		at.Close()
		p.ends(route.Closed)
		held, at = c, <-conns
		hear(t, at, fmt.Sprint("number ", n))
		say(t, at, "hello")
		hear(t, c, "hello")
		p.waits(4 - n)
	}
	held.Close()
	at.Close()
	p.ends(route.Closed)
}

// TestQueueEnds: the ways out of a queue without an origin.
func TestQueueEnds(t *testing.T) {
	for name, test := range map[string]struct {
		leave func(p *proxy, c *net.TCPConn)
		want  route.Verdict
	}{
		"timeout":        {func(*proxy, *net.TCPConn) {}, route.QueueTimedOut},
		"RST":            {func(_ *proxy, c *net.TCPConn) { reset(c) }, route.QueueAbandoned},
		"FIN":            {func(_ *proxy, c *net.TCPConn) { c.Close() }, route.QueueAbandoned},
		"all are down":   {func(p *proxy, _ *net.TCPConn) { p.down() }, route.NoOrigin},
		"the route ends": {func(p *proxy, _ *net.TCPConn) { p.live.Swap(table{}, nil) }, route.DrainTimedOut},
	} {
		t.Run(name, func(t *testing.T) {
			addr, conns := accepting(t)
			r := queueing(5, addr)
			r.OnAllDown, r.Drain = config.RefuseAll, 0
			if name == "timeout" {
				r.Queued = 50 * time.Millisecond
			}
			p := serve(t, r)
			held, at := p.pair(conns)
			c := p.dial()
			if name != "timeout" {
				p.waits(1)
			}
			test.leave(p, c)
			got := <-p.records
			if got.Client == held.LocalAddr().(*net.TCPAddr).AddrPort() { // it ends with its route
				got = <-p.records
			} else {
				held.Close()
				at.Close()
				<-p.records
			}
			if got.Verdict != test.want {
				t.Errorf("verdict %v, want %v", got.Verdict, test.want)
			}
			p.waits(0)
		})
	}
}

// down forces all origins down.
func (p *proxy) down() {
	for _, o := range p.route.Origins().Origins {
		o.Force(health.Down, "test", time.Now())
	}
	p.live.OriginDown()
	p.live.CallWaiting()
}

// TestQueuedQuestionAndFIN: a client that has asked and closed its side still waits for the answer.
func TestQueuedQuestionAndFIN(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, queueing(5, addr))
	held, at := p.pair(conns)
	c := p.dial()
	say(t, c, "question")
	c.CloseWrite()
	p.waits(1)
	held.Close()
	at.Close()
	p.ends(route.Closed)
	at = <-conns
	hear(t, at, "question")
	say(t, at, "answer")
	at.Close()
	hear(t, c, "answer")
	hearFIN(t, c)
	p.ends(route.Closed)
}

// TestQueueIsFair: one client cannot fill the queue for others; its newest conn gives way.
func TestQueueIsFair(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, queueing(3, addr))
	held, at := p.pair(conns)
	var greedy []*net.TCPConn
	for n := range 3 {
		greedy = append(greedy, p.dial())
		p.waits(n + 1)
	}
	other := dialFrom(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, p.addr)
	p.ends(route.QueueFull)
	hearRST(t, greedy[2])
	for _, c := range []*net.TCPConn{held, greedy[0], greedy[1], other} {
		if c != held {
			say(t, at, "hello")
			hear(t, c, "hello")
		}
		c.Close()
		at.Close()
		p.ends(route.Closed)
		if c != other {
			at = <-conns
		}
	}
}

// TestQueueMeetsReload: a reload that allows more conns serves those that wait, also by an origin that
// it adds.
func TestQueueMeetsReload(t *testing.T) {
	addr, conns := accepting(t)
	r := queueing(5, addr)
	p := serve(t, r)
	held, at := p.pair(conns)
	var all []*net.TCPConn
	for n := range 3 {
		all = append(all, p.dial())
		p.waits(n + 1)
	}
	more := queueing(0, addr, origin(t, echo))
	more.Balance = config.First
	more.Origins[0].MaxConns, more.Origins[1].MaxConns = 2, 2
	p.live.Swap(table{more}, []*config.Route{more})
	p.route = p.live.Set().Routes[0]
	first := <-conns
	p.waits(0)
	for _, c := range all[1:] {
		say(t, c, "hello")
		hear(t, c, "hello")
		c.Close()
		p.ends(route.Closed)
	}
	say(t, all[0], "hello")
	hear(t, first, "hello")
	for _, c := range []*net.TCPConn{all[0], first, held, at} {
		c.Close()
	}
	p.ends(route.Closed)
	p.ends(route.Closed)
}

// TestQueueMeetsStop: a proxy that stops serves those that wait.
func TestQueueMeetsStop(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, queueing(5, addr))
	held, at := p.pair(conns)
	c := p.dial()
	p.waits(1)
	p.stop()
	held.Close()
	at.Close()
	p.ends(route.Closed)
	at = <-conns
	say(t, at, "hello")
	hear(t, c, "hello")
	c.Close()
	at.Close()
	p.ends(route.Closed)
	<-p.done
}

// TestQueueMoves moves conns that wait to another process, and the one that has the place: all go on
// there, in their order. If the move fails, they go on here.
func TestQueueMoves(t *testing.T) {
	failed := errors.New("test")
	for name, meanwhile := range map[string]func([]tcp.Conn) error{
		"to the other process": quietly,
		"not at all":           func([]tcp.Conn) error { return failed },
		"without those that wait": func(batch []tcp.Conn) error {
			if batch[0].Waiting {
				return failed
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr, conns := accepting(t)
			p, next := twins(t, queueing(5, addr))
			held, at := p.pair(conns)
			var all []*net.TCPConn
			for n := range 3 {
				all = append(all, p.dial())
				say(t, all[n], fmt.Sprint("number ", n))
				p.waits(n + 1)
			}
			if err := p.move(next, meanwhile); err != nil && !errors.Is(err, failed) {
				t.Fatal(err)
			}
			served := next // by it
			switch name {
			case "to the other process":
				next.waits(3)
				p.waits(0)
			case "not at all":
				served = p
				p.waits(3)
			default: // the place is the other process's, and so one of them is served here
				say(t, held, "hello")
				hear(t, at, "hello")
				held.Close()
				at.Close()
				next.ends(route.Closed)
				served, held, at, all = p, all[0], <-conns, all[1:]
				hear(t, at, "number 0")
				p.waits(2)
			}
			for n, c := range all {
				held.Close()
				at.Close()
				served.ends(route.Closed)
				held, at = c, <-conns
				hear(t, at, fmt.Sprint("number ", n+3-len(all)))
			}
			held.Close()
			at.Close()
			served.ends(route.Closed)
		})
	}
}

// TestQueueStorm: many conns at once, of which most wait, all get their answers.
func TestQueueStorm(t *testing.T) {
	r := queueing(1000, origin(t, echo), origin(t, echo))
	r.Origins[0].MaxConns = 2
	p := serve(t, r)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 20 {
				c, err := net.Dial("tcp", p.addr)
				if err != nil {
					t.Error(err)
					return
				}
				c.SetDeadline(time.Now().Add(patience))
				say(t, c, "hello")
				hear(t, c, "hello")
				c.Close()
			}
		})
	}
	all.Wait()
	for range 50 * 20 {
		p.ends(route.Closed)
	}
	p.waits(0)
}
