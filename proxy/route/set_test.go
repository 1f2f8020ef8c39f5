package route

import (
	"net/netip"
	"testing"

	"anyport/config"
)

// table sends everything to one route.
type table struct{ to *config.Route }

func (t table) Lookup(config.Protocol, netip.AddrPort) *config.Route { return t.to }

func (table) Passes(config.Protocol, netip.AddrPort) bool { return false }

func TestSwap(t *testing.T) {
	dst := netip.MustParseAddrPort("192.0.2.1:53")
	l := NewLive(1)
	if l.Set().Lookup(config.UDP, netip.Addr{}, dst) != nil {
		t.Error("a route is there before the first swap")
	}
	origins := []config.Origin{{Text: "10.0.0.5", Weight: 1}}
	stays, goes := &config.Route{Name: "stays", Origins: origins}, &config.Route{Name: "goes"}
	l.Swap(table{stays}, []*config.Route{stays, goes})
	before := l.Set().Lookup(config.UDP, netip.Addr{}, dst)
	if before == nil || before.Route != stays {
		t.Fatalf("looked up %v, want %v", before, stays)
	}
	before.Admit(config.UDP, alice)
	before.Origins().Origins[0].Begin()
	before.Stats.Shard(0).End(config.UDP, Closed)

	again, comes := &config.Route{Name: "stays", Origins: origins, MaxFlows: 1}, &config.Route{Name: "comes"}
	l.Swap(table{again}, []*config.Route{comes, again})
	after := l.Set().Lookup(config.UDP, netip.Addr{}, dst)
	if after.Route != again || after == before {
		t.Fatal("the old route is still in service")
	}
	if after.Stats.Totals().Ended[config.UDP][Closed] != 1 || after.Origins().Origins[0].Active() != 1 {
		t.Error("counts did not go on under the route's name")
	}
	if got := after.Admit(config.UDP, bob); got != OverMaxFlows {
		t.Errorf("beside the flow of before the swap: %v, want %v", got, OverMaxFlows)
	}
	before.Release(config.UDP, alice) // the old flow ends, with the route it began with
	if got := after.Admit(config.UDP, bob); got != Admitted {
		t.Errorf("after the old flow's end: %v", got)
	}
	if l.Set().Routes[0].Name != "comes" || l.Set().Routes[0].Stats == after.Stats {
		t.Error("a new route has its own counters, and routes are in the order of the file")
	}
}

// TestSwapOfALimit: a limit per client that comes or goes with a reload counts
// the conns of its own time alone, and never below none.
func TestSwapOfALimit(t *testing.T) {
	limited, free := &config.Route{Name: "r", MaxConnsPerClient: 1}, &config.Route{Name: "r"}
	l := NewLive(1)
	l.Swap(table{free}, []*config.Route{free})
	first := l.Set().Routes[0]
	first.Admit(config.TCP, alice)
	l.Swap(table{limited}, []*config.Route{limited})
	second := l.Set().Routes[0]
	if got := second.Admit(config.TCP, alice); got != Admitted {
		t.Fatal(got)
	}
	first.Release(config.TCP, alice)
	if got := second.Admit(config.TCP, alice); got != OverMaxPerClient {
		t.Errorf("the end of a conn that was never counted made room: %v", got)
	}
	second.Release(config.TCP, alice)
	checkEmpty(t, second)
}
