package tcp_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"anyport/proxy/route"
)

// handOver returns once give has.
func (p *proxy) handOver(give func() error) {
	given := make(chan struct{})
	p.handover <- func() error {
		defer close(given)
		return give()
	}
	<-given
}

// Clients who come while the loops stand still wait in the queue: the next process
// serves them, and the conns that were there stay where they are.
func TestHandOver(t *testing.T) {
	tidy(t)
	r := forward(origin(t, echo))
	fd, addr := listen(t, netip.MustParseAddrPort("127.0.0.1:0"))
	old := serveOn(t, fd, addr, table{r}, r)
	before := old.dial()
	say(t, before, "hello")
	hear(t, before, "hello")

	var queue []*net.TCPConn
	old.handOver(func() error {
		for range 20 {
			queue = append(queue, old.dial())
		}
		say(t, before, "still here")
		hear(t, before, "still here")
		return nil
	})
	next := serveOn(t, fd, addr, table{r}, r)
	for _, c := range append(queue, next.dial()) {
		say(t, c, "hello")
		hear(t, c, "hello")
		c.Close()
		next.ends(route.Closed)
	}
	say(t, before, "still here")
	hear(t, before, "still here")
	before.Close()
	old.ends(route.Closed)
	<-old.done
}

// Where nobody takes the listeners, those who wait are served after all.
func TestHandOverFails(t *testing.T) {
	p := serve(t, forward(origin(t, echo)))
	for range 3 {
		var queue []*net.TCPConn
		p.handOver(func() error {
			for range 5 {
				queue = append(queue, p.dial())
			}
			return errors.New("not today")
		})
		for _, c := range append(queue, p.dial()) {
			say(t, c, "hello")
			hear(t, c, "hello")
			c.Close()
			p.ends(route.Closed)
		}
	}
}
