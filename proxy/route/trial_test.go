package route

import (
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/proxy/origin"
)

// byDst forwards what it has, and hands nothing to the host.
type byDst map[netip.AddrPort]*config.Route

func (b byDst) Lookup(_ config.Protocol, dst netip.AddrPort) *config.Route { return b[dst] }

func (b byDst) Passes(config.Protocol, netip.AddrPort) bool { return false }

// TestTrial: while a generation is on trial, what it leaves out goes on, and if it is undone,
// all is as if it had never been: counters and limits too.
func TestTrial(t *testing.T) {
	dst1, dst2, dst3 := netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53"), netip.MustParseAddrPort("192.0.2.3:53")
	stays, goes := &config.Route{Name: "stays"}, &config.Route{Name: "goes", MaxConns: 1}
	l := NewLive(1)
	l.Swap(byDst{dst1: stays, dst2: goes}, []*config.Route{stays, goes})
	swaps := 0
	defer l.Watch(func() { swaps++ })()
	before := l.Set().Lookup(config.TCP, netip.Addr{}, dst2)
	before.Admit(config.TCP, alice)
	before.Stats.Shard(0).End(config.TCP, Closed)

	again, comes := &config.Route{Name: "stays"}, &config.Route{Name: "comes"}
	next := byDst{dst1: again, dst3: comes}
	trial := l.Try(next, []*config.Route{again, comes})
	if got := l.Set().Lookup(config.TCP, netip.Addr{}, dst2); got != before || !l.Set().Keeps(config.TCP, dst2, before) {
		t.Errorf("on trial %v is forwarded by %v, want the route of before", dst2, got)
	}
	if got := l.Set().Lookup(config.TCP, netip.Addr{}, dst1); got.Route != again {
		t.Errorf("on trial %v is forwarded by %v", dst1, got)
	}
	if l.Set().Lookup(config.TCP, netip.Addr{}, dst3) == nil || swaps > 0 {
		t.Errorf("on trial nothing forwards %v, or Watch was called for %d swaps", dst3, swaps)
	}
	trial.Undo()
	after := l.Set().Lookup(config.TCP, netip.Addr{}, dst2)
	if after != before || after.Stats.Totals().Ended[config.TCP][Closed] != 1 || swaps != 1 {
		t.Error("the counters of a route that was never taken out of service are lost")
	}
	if got := after.Admit(config.TCP, bob); got != OverMaxConns {
		t.Errorf("beside the conn of before the trial: %v, want %v", got, OverMaxConns)
	}
	if l.Set().Lookup(config.TCP, netip.Addr{}, dst3) != nil || l.Set().Named("comes") != nil {
		t.Error("what was undone serves on")
	}

	l.Try(next, []*config.Route{again, comes}).Keep(next)
	if l.Set().Lookup(config.TCP, netip.Addr{}, dst2) != nil || l.Set().Named("goes") != nil || l.Set().Keeps(config.TCP, dst2, before) {
		t.Error("a generation that was kept lets the one before serve on")
	}
}

// TestTrialOfANamedOrigin: an address that a name gets during a trial has one count in both
// generations, so that conns to it count on, whether the trial is kept or undone. Both have one queue.
func TestTrialOfANamedOrigin(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.5")}
	named := config.Origin{Text: "app.example:80", Host: "app.example", Ports: config.PortRange{First: 80, Last: 80}, Weight: 1}
	literal := config.Origin{Text: "10.0.0.6:80", Addr: netip.MustParseAddr("10.0.0.6"), Ports: named.Ports, Weight: 1}
	members := func(r *config.Route) []origin.Member {
		if r.Origins[0].Host == "" {
			return origin.Literals(r.Origins)
		}
		return origin.Resolved(r.Origins[0], addrs)
	}
	for _, test := range []struct {
		name          string
		before, after config.Origin
	}{
		{"of both generations", named, named},
		{"of the one on trial, the other has the address", literal, named},
		{"of the one before, the other has the address", named, literal},
	} {
		t.Run(test.name, func(t *testing.T) {
			addrs = addrs[:1]
			l := NewLive(1)
			l.ResolveBy(func([]*config.Route) Members { return members })
			l.Swap(byDst{}, []*config.Route{{Name: "web", Origins: []config.Origin{test.before}}})
			old := l.Set().Named("web")
			trial := l.Try(byDst{}, []*config.Route{{Name: "web", Origins: []config.Origin{test.after}}})
			tried := l.Set().Named("web")
			addrs = append(addrs, literal.Addr) // from now on the name has it, too
			l.RenewOrigins()
			at := netip.MustParseAddrPort("10.0.0.6:80")
			tried.Origins().By(at).Begin()
			old.Origins().By(at).Begin()
			if n, m := old.Origins().By(at).Active(), tried.Origins().By(at).Active(); n != 2 || m != 2 {
				t.Errorf("%d conns before the trial, %d on trial, want 2", n, m)
			}
			called := 0
			w := &origin.Waiter{Client: addrs[0], Call: func() { called++ }}
			if !old.Origins().Queue(origin.Ask{}).Join(w, 1) {
				t.Error("the queue is full")
			}
			tried.Origins().By(at).End() // a place of either generation is for who waits in the other one
			if called != 1 {
				t.Errorf("a conn that waits is called %d times, want once", called)
			}
			tried.Origins().By(at).Begin()
			trial.Undo()
			l.RenewOrigins()
			old.Origins().Queue(origin.Ask{}).Answer(w)
			called = 0
			if l.CallWaiting(); called != 1 {
				t.Error("after it was undone, a conn that waits is not called")
			}
			if n := l.Set().Named("web").Origins().By(at).Active(); n != 2 {
				t.Errorf("%d conns after it was undone, want 2", n)
			}
		})
	}
}
