package flow_test

import (
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// TestNamingOfLiveFlows: the datagrams of a live flow have their headers read for as long as it lives, also where no
// route that names clients takes its dst any more for its peer: after a reload, while it drains, and during a trial,
// in which the peer may be on the other side.
func TestNamingOfLiveFlows(t *testing.T) {
	named, plain := to(originAddr), to(originAddr)
	named.Name, plain.Name = "named", "plain"
	named.AcceptProxy = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	named.Timeouts = config.Timeouts{UDPIdle: time.Minute, Drain: time.Minute}
	peer, other, dst := call.EndpointOf(client2), call.EndpointOf(netip.MustParseAddrPort("198.51.100.99:5000")), call.EndpointOf(dst1)
	keyBy := func(peer call.Endpoint) flow.Key {
		return flow.Key{Client: call.EndpointOf(client1), Dst: dst, Via: flow.ViaOf(peer, dst)}
	}
	elsewhere := netip.MustParseAddrPort("192.0.2.99:1")
	for name, change := range map[string]func(l *route.Live){
		"a reload without the route": func(l *route.Live) { l.Swap(routes{}, nil) },
		"a trial where another route has the dst": func(l *route.Live) {
			next := routes{dst1: plain, elsewhere: named}
			l.Share(next, []*config.Route{plain, named}, func(netip.Addr) bool { return true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := live(named, dst1)
			f := newTestLoop(10, l)
			r := f.Naming(peer, dst)
			if r == nil || r.Name != "named" {
				t.Fatalf("before: %v", r)
			}
			f.datagram(keyBy(peer), 1, 0)
			f.datagram(keyBy(other), 1, 0)
			f.end(f.Find(keyBy(other)), route.IdleTimedOut, 0)
			change(l)
			f.reload(0)
			if f.Len() != 1 {
				t.Fatalf("%d flows are left: %v", f.Len(), f.records)
			}
			if r := f.Naming(peer, dst); r == nil || r.Name != "named" {
				t.Errorf("datagrams of a live flow are read without their header: %v", r)
			}
			if r := f.Naming(other, dst); r != nil {
				t.Errorf("a peer without a live flow: route %s", r.Name)
			}
			f.end(f.Find(keyBy(peer)), route.DrainTimedOut, 0)
			if r := f.Naming(peer, dst); r != nil {
				t.Errorf("after the last flow of the peer: route %s", r.Name)
			}
		})
	}
}
