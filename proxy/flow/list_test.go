package flow_test

import (
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// TestList: what has ended since the list began is not in it.
func TestList(t *testing.T) {
	alice, bob := netip.MustParseAddrPort("198.51.100.1:1000"), netip.MustParseAddrPort("198.51.100.2:1000")
	dst, origin := netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("10.0.0.5:53")
	f, first := began(t, to(origin), alice, dst, 3)
	f.datagram(flow.KeyOf(bob, dst), 5, 2*time.Second)
	listing := f.Listing()
	f.end(first, route.Evicted, 3*time.Second)
	want := route.Conn{
		Protocol: config.UDP, State: route.Unanswered, Route: "test", Client: bob, Dst: dst, Origin: origin,
		Age: 2 * time.Second, Idle: 2 * time.Second, ToOrigin: 5,
	}
	want.Path = route.FastUnavailable
	var got []route.Conn
	for fl := range f.NextFlows(&listing) {
		got = append(got, fl.Listed(4*time.Second, 0))
	}
	if want.ID = f.Find(flow.KeyOf(bob, dst)).ID; len(got) != 1 || got[0] != want || want.ID == 0 {
		t.Errorf("listed %+v, want %+v", got, want)
	}

	listing = f.Listing()
	f.datagram(flow.KeyOf(alice, dst), 5, 4*time.Second)
	isBob := func(c *route.Conn) bool { return c.Client == bob }
	if found := f.NextMatches(&listing, isBob, 5*time.Second); len(found) != 1 || found[0].Client() != bob || !listing.Done() {
		t.Errorf("of bob: %v", found)
	}
}
