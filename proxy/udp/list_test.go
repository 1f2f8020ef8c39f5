package udp

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// TestList: what has ended since the list began is not in it.
func TestList(t *testing.T) {
	alice, bob := netip.MustParseAddrPort("198.51.100.1:1000"), netip.MustParseAddrPort("198.51.100.2:1000")
	dst, origin := netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("10.0.0.5:53")
	f, first := began(t, to(origin), alice, dst, 3)
	f.datagram(keyOf(bob, dst), 5, 2*time.Second)
	begun := slices.Clone(f.byDue)
	f.table.end(first, route.Evicted, 3*time.Second)
	want := route.Conn{
		Protocol: config.UDP, Route: "test", Client: bob, Dst: dst, Origin: origin,
		Age: 2 * time.Second, Idle: 2 * time.Second, ToOrigin: 5,
	}
	if got := f.list(nil, begun, 4*time.Second); len(got) != 1 || got[0] != want {
		t.Errorf("listed %+v, want %+v", got, want)
	}
}

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
