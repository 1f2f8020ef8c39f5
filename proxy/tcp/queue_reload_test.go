package tcp_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
)

// TestQueueMeetsShorterTimeout: a reload, or the file of another process, gives conns a place and at the
// same time a queue_timeout that is shorter than they have waited already. Those who find a place are
// served, in their order; only the others are refused.
func TestQueueMeetsShorterTimeout(t *testing.T) {
	for name, meet := range map[string]func(p, next *proxy, shorter *config.Route) *proxy{
		"in a reload": func(p, _ *proxy, shorter *config.Route) *proxy {
			p.live.Swap(table{shorter}, []*config.Route{shorter})
			return p
		},
		"in an upgrade": func(p, next *proxy, shorter *config.Route) *proxy {
			next.live.Swap(table{shorter}, []*config.Route{shorter})
			slowly := func([]tcp.Conn) error { time.Sleep(twoTicks); return nil }
			if err := p.move(next, slowly); err != nil {
				t.Error(err)
			}
			return next
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				timeoutShortened(t, meet)
			}
		})
	}
}

// twoTicks of the timers: a timer that is set to the past afterwards fires at once.
const twoTicks = 200 * time.Millisecond

func timeoutShortened(t *testing.T, meet func(p, next *proxy, shorter *config.Route) *proxy) {
	t.Helper()
	addr, conns := accepting(t)
	p, next := twins(t, queueing(9, addr))
	held, _ := p.pair(conns)
	all := []*net.TCPConn{held}
	for n := range 6 {
		all = append(all, p.dial())
		p.waits(n + 1)
	}
	time.Sleep(twoTicks)
	shorter := queueing(9, addr)
	shorter.Origins[0].MaxConns, shorter.Queued = 4, time.Millisecond
	served := meet(p, next, shorter)
	served.route = served.live.Set().Routes[0]
	served.waits(0)
	for range 3 {
		served.ends(route.QueueTimedOut)
	}
	for range 3 {
		taken(t, conns)
	}
	if n := len(served.records); n != 0 {
		t.Errorf("%d more are refused", n)
	}
	for _, c := range all {
		reset(c)
	}
}

// taken is the next conn that the origin gets.
func taken(t *testing.T, conns <-chan *net.TCPConn) *net.TCPConn {
	t.Helper()
	select {
	case c := <-conns:
		return c
	case <-time.After(patience):
		t.Fatal("the conn finds no place")
		return nil
	}
}

// TestQueueOutlivesTrial: a reload that is undone, because the kernel refuses it, ends no conn that waits.
func TestQueueOutlivesTrial(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, queueing(5, addr))
	held, at := p.pair(conns)
	c := p.dial()
	p.waits(1)
	time.Sleep(twoTicks)
	shorter := queueing(5, addr)
	shorter.Queued = time.Millisecond
	trial := p.live.Try(table{shorter}, []*config.Route{shorter})
	p.live.OriginDown() // the loops look around
	time.Sleep(twoTicks)
	trial.Undo()
	p.route = p.live.Set().Routes[0]
	held.Close()
	at.Close()
	p.ends(route.Closed)
	at = taken(t, conns)
	c.Close()
	at.Close()
	p.ends(route.Closed)
}

// TestQueueMovesNamed: conns whose PROXY headers come while others move to another process do not take the
// places that these leave: they move as well, and wait there.
func TestQueueMovesNamed(t *testing.T) {
	const places, more = 6, 10
	addr, conns := accepting(t)
	r := accepts(addr)
	r.Origins[0].MaxConns, r.Queue, r.Queued = places, more, patience
	p, next := twins(t, r)
	var held, naming []*net.TCPConn
	for range places {
		c := p.dial()
		say(t, c, namedV1)
		<-conns
		held = append(held, c)
	}
	for range more {
		naming = append(naming, p.dial())
	}
	await(t, func() bool { return p.route.Stats.Active(config.TCP) == places+more }, "not all conns have arrived")
	var once sync.Once
	err := p.move(next, func([]tcp.Conn) error {
		once.Do(func() { // the conns of one loop are on their way, those of the other are not
			for _, c := range naming {
				say(t, c, namedV1)
			}
			time.Sleep(twoTicks)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	next.waits(more)
	if n := p.route.Stats.Active(config.TCP); n != 0 {
		t.Errorf("%d conns have not moved", n)
	}
	for _, c := range append(held, naming...) {
		reset(c)
	}
}
