package route

import (
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/proxy/origin"
)

// TestSides: while two generations serve, each client has its own, limits and counters of a route are common, what
// began before goes on, and each of the two can be the one that stays.
func TestSides(t *testing.T) {
	dst, gone, added := netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53"), netip.MustParseAddrPort("192.0.2.3:53")
	for _, next := range []bool{true, false} {
		stays, goes := &config.Route{Name: "stays", MaxConns: 3}, &config.Route{Name: "goes"}
		oldTable := byDst{dst: stays, gone: goes}
		l := NewLive(1)
		l.Swap(oldTable, []*config.Route{stays, goes})
		before := l.Set().Lookup(config.TCP, alice, dst)
		before.Admit(config.TCP, alice)
		before.CountArrival(0, config.TCP)

		again, comes := &config.Route{Name: "stays", MaxConns: 2}, &config.Route{Name: "comes"}
		newTable := byDst{dst: again, added: comes}
		sides := l.Share(newTable, []*config.Route{again, comes}, func(client netip.Addr) bool { return client == bob })
		set := l.Set()
		ofAlice, ofBob := set.Lookup(config.TCP, alice, dst), set.Lookup(config.TCP, bob, dst)
		if ofAlice.Route != stays || ofBob.Route != again || ofAlice.Stats != before.Stats || ofBob.Stats != before.Stats {
			t.Errorf("alice has %+v, bob %+v", ofAlice.Route, ofBob.Route)
		}
		if set.Lookup(config.UDP, bob, gone) != nil || set.Lookup(config.UDP, alice, added) != nil {
			t.Error("a flow may begin by the table of the other side")
		}
		if r := set.Lookup(config.TCP, bob, gone); r == nil || r.Route != goes {
			t.Error("a conn that the kernel admitted just before has no route")
		}
		for _, kept := range []netip.AddrPort{dst, gone, added} {
			if !set.Keeps(config.TCP, kept, before) {
				t.Errorf("conns to %s are drained during the trial", kept)
			}
		}
		if !set.OnTrial() || !set.Shared() || len(set.Routes) != 3 || len(set.Twins()) != 1 || set.Named("stays") != ofAlice || set.NamedFor(bob, "stays") != ofBob {
			t.Errorf("%d routes, %d twins", len(set.Routes), len(set.Twins()))
		}
		if v := ofBob.Admit(config.TCP, bob); v != Admitted { // beside the conn of before
			t.Errorf("bob: %v", v)
		}
		if v := ofBob.Admit(config.TCP, bob); v != OverMaxConns {
			t.Errorf("bob again: %v", v)
		}
		ofBob.CountArrival(0, config.TCP)
		before.CountEnd(0, config.TCP, Closed) // of neither side
		ofAlice.CountArrival(0, config.TCP)
		ofAlice.CountEnd(0, config.TCP, Denied)
		old, side := sides.Tallies()
		if arrived, ended := old.Totals(); arrived[config.TCP] != 1 || ended[config.TCP][Denied] != 1 || ended[config.TCP][Closed] != 0 {
			t.Errorf("the old side has counted %v, %v", arrived, ended)
		}
		if arrived, ended := side.Totals(); arrived[config.TCP] != 1 || len(ended[config.TCP]) != 0 {
			t.Errorf("the new side has counted %v, %v", arrived, ended)
		}
		if totals := before.Stats.Totals(); totals.Arrived != 3 {
			t.Errorf("the route has counted %d conns", totals.Arrived)
		}

		try, table, name := sides.TryOld, Table(oldTable), "comes"
		if next {
			try, table, name = sides.TryNext, newTable, "goes"
		}
		trial := try()
		if l.Set().Named(name) == nil || l.Set().Lookup(config.TCP, alice, dst) == nil {
			t.Error("what may still be undone has ended something")
		}
		trial.Undo()
		if l.Set() != set {
			t.Error("an end that was undone has ended the trial")
		}
		try().Keep(table)
		set = l.Set()
		if set.OnTrial() || set.Shared() || set.Named(name) != nil || len(set.Routes) != 2 || len(set.Twins()) != 0 {
			t.Errorf("after the trial (next: %v): %d routes", next, len(set.Routes))
		}
		if r := set.Lookup(config.TCP, alice, dst); r.Stats != before.Stats || (r.Route == again) != next || r.Stats.Active(config.TCP) != 2 {
			t.Errorf("after the trial alice has %+v", r.Route)
		}
	}
}

// TestDivide: another share of the clients gives some of them the other side for what they begin from then on. What
// they have begun stays where it is, with its counter, and both generations can still be the one that stays.
func TestDivide(t *testing.T) {
	dst := netip.MustParseAddrPort("192.0.2.1:53")
	stays, again := &config.Route{Name: "stays"}, &config.Route{Name: "stays"}
	l := NewLive(1)
	l.Swap(byDst{dst: stays}, []*config.Route{stays})
	sides := l.Share(byDst{dst: again}, []*config.Route{again}, func(client netip.Addr) bool { return client == bob })
	ofAlice, ofBob := l.Set().Lookup(config.UDP, alice, dst), l.Set().Lookup(config.UDP, bob, dst)
	ofAlice.CountArrival(0, config.UDP)
	ofBob.CountArrival(0, config.UDP)

	swaps := l.Swaps()
	sides = sides.Divide(func(netip.Addr) bool { return true })
	if got := l.Set().Lookup(config.UDP, alice, dst); got != ofBob || l.Set().Lookup(config.UDP, bob, dst) != ofBob {
		t.Errorf("alice has %+v", got.Route)
	}
	if !l.Set().Keeps(config.UDP, dst, ofAlice) || l.Swaps() != swaps {
		t.Error("the flow of alice is looked at again")
	}
	ofAlice.CountEnd(0, config.UDP, IdleTimedOut)
	l.Set().Lookup(config.UDP, alice, dst).CountArrival(0, config.UDP)
	old, next := sides.Tallies()
	arrivedOld, endedOld := old.Totals()
	arrivedNext, endedNext := next.Totals()
	if arrivedOld[config.UDP] != 1 || endedOld[config.UDP][IdleTimedOut] != 1 || arrivedNext[config.UDP] != 2 || len(endedNext[config.UDP]) != 0 {
		t.Errorf("the old side has counted %v and %v, the new one %v and %v", arrivedOld, endedOld, arrivedNext, endedNext)
	}
	set := l.Set()
	sides.TryOld().Undo()
	if l.Set() != set {
		t.Error("an end that was undone has brought back the share before")
	}
	sides.TryNext().Keep(byDst{dst: again})
	if r := l.Set().Lookup(config.UDP, alice, dst); l.Set().Shared() || r.Route != again {
		t.Errorf("after the trial alice has %+v", r.Route)
	}
}

// TestSidesShareOrigins: an origin that both sides have is one, and names that get other addresses meanwhile do not
// divide it.
func TestSidesShareOrigins(t *testing.T) {
	at := netip.MustParseAddr("10.0.0.5")
	both := []config.Origin{{Text: "10.0.0.5", Addr: at, Weight: 1}}
	route := func(origins []config.Origin) *config.Route {
		return &config.Route{Name: "web", Protocols: []config.Protocol{config.TCP}, Origins: origins}
	}
	old, next := route(both), route(append([]config.Origin{{Text: "10.0.0.6", Addr: netip.MustParseAddr("10.0.0.6"), Weight: 1}}, both...))
	l, dst := NewLive(1), netip.MustParseAddrPort("192.0.2.1:80")
	l.Swap(byDst{dst: old}, []*config.Route{old})
	count := func(r *Route) *origin.Origin { return r.Origins().By(netip.AddrPortFrom(at, 80)) }
	count(l.Set().Routes[0]).Begin()
	l.Share(byDst{dst: next}, []*config.Route{next}, func(client netip.Addr) bool { return client == bob })
	l.RenewOrigins()
	for _, client := range []netip.Addr{alice, bob} {
		o := count(l.Set().Lookup(config.TCP, client, dst))
		if o.Begin(); o.Active() < 2 {
			t.Errorf("%s: the origin has %d conns", client, o.Active())
		}
	}
	if o := count(l.Set().Twins()[0]); o.Active() != 3 {
		t.Errorf("the origin has %d conns, want 3", o.Active())
	}
}
