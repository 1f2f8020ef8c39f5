package tcp_test

import (
	"net"
	"testing"

	"anyport/proxy/route"
)

// Each conn is listed once, more than a page of them, also with gaps between.
func TestList(t *testing.T) {
	p := serve(t, forward(origin(t, echo)))
	const clients = 2*route.PageSize + 50
	conns := map[string]*net.TCPConn{}
	for range clients {
		c := p.dial()
		say(t, c, "hello")
		hear(t, c, "hello")
		conns[c.LocalAddr().String()] = c
	}
	ended := 0
	for client, c := range conns {
		if ended++; ended > 40 {
			break
		}
		c.Close()
		p.ends(route.Closed)
		delete(conns, client)
	}
	for page := range p.live.Conns {
		if len(page) > route.PageSize {
			t.Errorf("a page of %d", len(page))
		}
		for _, c := range page {
			client := c.Client.String()
			if conns[client] == nil || c.Route != "test" || c.Dst.String() != p.addr || !c.Origin.IsValid() ||
				c.ToOrigin != 5 || c.ToClient != 5 || c.Age <= 0 || c.Idle > c.Age {
				t.Errorf("listed %+v", c)
				continue
			}
			conns[client].Close()
			delete(conns, client)
		}
	}
	if len(conns) > 0 {
		t.Errorf("%d conns are not listed", len(conns))
	}
	p.stop()
	<-p.done
	for page := range p.live.Conns {
		t.Errorf("after the end: %+v", page)
	}
}
