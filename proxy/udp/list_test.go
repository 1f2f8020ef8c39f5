package udp

import (
	"testing"

	"anyport/proxy/route"
)

// TestListWhileServing: each flow is listed once, more than a page of them.
func TestListWhileServing(t *testing.T) {
	noLeaks(t)
	origin := newPeer(t, "127.0.0.1")
	origin.tellPorts()
	p := serve(t, to(origin.addr()), "127.0.0.1", "127.0.0.2")
	const flows = route.PageSize + 50
	clients := map[string]bool{}
	for range flows {
		c := newPeer(t, "127.0.0.1")
		c.send([]byte("hello"), p.dsts[0])
		c.receive()
		clients[c.addr().String()] = true
	}
	for page := range p.live.Conns {
		if len(page) > route.PageSize {
			t.Errorf("a page of %d", len(page))
		}
		for _, c := range page {
			if !clients[c.Client.String()] || c.ToOrigin != 5 || c.ToClient == 0 || c.Dst != p.dsts[0] {
				t.Errorf("listed %+v", c)
			}
			delete(clients, c.Client.String())
		}
	}
	if len(clients) > 0 {
		t.Errorf("%d flows are not listed", len(clients))
	}
	p.stop()
	for page := range p.live.Conns {
		t.Errorf("after the end: %+v", page)
	}
}
