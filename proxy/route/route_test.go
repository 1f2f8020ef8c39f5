package route

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
)

var (
	alice = netip.MustParseAddr("198.51.100.1")
	bob   = netip.MustParseAddr("2001:db8:9::2")
)

// serving puts one route into service.
func serving(c *config.Route) *Route {
	l := NewLive(1)
	l.Swap(nothing{}, []*config.Route{c})
	return l.Set().Routes[0]
}

func TestAdmitLimits(t *testing.T) {
	type try struct {
		protocol config.Protocol
		client   netip.Addr
		want     Verdict
	}
	const tcp, udp = config.TCP, config.UDP
	for _, test := range []struct {
		name  string
		route config.Route
		tries []try
	}{
		{"no limit", config.Route{}, []try{{tcp, alice, Admitted}, {udp, alice, Admitted}, {udp, bob, Admitted}}},
		{"conns and flows together", config.Route{MaxConns: 2},
			[]try{{tcp, alice, Admitted}, {udp, bob, Admitted}, {tcp, alice, OverMaxConns}, {udp, alice, OverMaxConns}}},
		{"flows alone", config.Route{MaxFlows: 1},
			[]try{{udp, alice, Admitted}, {udp, bob, OverMaxFlows}, {tcp, bob, Admitted}, {tcp, bob, Admitted}}},
		{"per client, conns and flows together", config.Route{MaxConnsPerClient: 2},
			[]try{{tcp, alice, Admitted}, {udp, alice, Admitted}, {udp, alice, OverMaxPerClient}, {tcp, bob, Admitted}}},
		{"what was refused holds no place", config.Route{MaxConns: 2, MaxConnsPerClient: 1},
			[]try{{tcp, alice, Admitted}, {tcp, alice, OverMaxPerClient}, {tcp, alice, OverMaxPerClient}, {tcp, bob, Admitted}}},
		{"who is denied holds no place", config.Route{MaxConns: 1, Deny: []netip.Prefix{netip.PrefixFrom(alice, 32)}},
			[]try{{tcp, alice, Denied}, {tcp, alice, Denied}, {tcp, bob, Admitted}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := serving(&test.route)
			for i, try := range test.tries {
				if got := r.Admit(try.protocol, try.client); got != try.want {
					t.Fatalf("try %d, %v of %v: %v, want %v", i+1, try.protocol, try.client, got, try.want)
				}
			}
			for _, try := range test.tries {
				if try.want == Admitted {
					r.Release(try.protocol, try.client)
				}
			}
			checkEmpty(t, r)
		})
	}
}

// checkEmpty wants no conn, no flow and no client left.
func checkEmpty(t *testing.T, r *Route) {
	t.Helper()
	tcp, udp, clients := r.Stats.Active(config.TCP), r.Stats.Active(config.UDP), len(r.Stats.perClient.held)
	if tcp != 0 || udp != 0 || clients != 0 {
		t.Errorf("%d conns, %d flows, %d clients are left", tcp, udp, clients)
	}
}

// TestAdmitTogether: many loops at once never hold more than the limits say.
func TestAdmitTogether(t *testing.T) {
	r := serving(&config.Route{MaxConns: 5, MaxConnsPerClient: 3})
	var loops sync.WaitGroup
	for i := range 8 {
		loops.Go(func() {
			client := []netip.Addr{alice, bob}[i%2]
			for range 2000 {
				if r.Admit(config.UDP, client) != Admitted {
					continue
				}
				r.Stats.perClient.mu.Lock()
				held := r.Stats.perClient.held[client]
				r.Stats.perClient.mu.Unlock()
				if held > 3 {
					t.Errorf("%v holds %d", client, held)
				}
				r.Release(config.UDP, client)
			}
		})
	}
	loops.Wait()
	checkEmpty(t, r)
}

// TestLimitIsReachable: refusals that race leave the place for somebody.
func TestLimitIsReachable(t *testing.T) {
	r := serving(&config.Route{MaxFlows: 100})
	var loops sync.WaitGroup
	for range 8 {
		loops.Go(func() {
			for range 1000 {
				r.Admit(config.UDP, alice)
			}
		})
	}
	loops.Wait()
	if n := r.Stats.Active(config.UDP); n != 100 {
		t.Errorf("%d flows live, want 100", n)
	}
}

// admits is the rule, word by word: the longest of allow and deny wins; on
// a tie, deny; an empty allow is everyone.
func admits(c *config.Route, client netip.Addr) bool {
	longest := func(list []netip.Prefix) int {
		bits := -1
		for _, p := range list {
			if p.Contains(client) {
				bits = max(bits, p.Bits())
			}
		}
		return bits
	}
	allow, deny := longest(c.Allow), longest(c.Deny)
	if allow < 0 && deny < 0 {
		return len(c.Allow) == 0
	}
	return allow > deny
}

func TestSourcesAgainstNaive(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	address := func() netip.Addr { // few bits vary, so that prefixes nest and tie
		if low := byte(random.IntN(16)); random.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{198, 51, 100, low})
		} else {
			return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: low})
		}
	}
	prefixes := func() (list []netip.Prefix) {
		for range random.IntN(5) {
			a := address()
			p, _ := a.Prefix([]int{0, a.BitLen() - random.IntN(5)}[min(1, random.IntN(6))])
			list = append(list, p)
		}
		return list
	}
	for range 2000 {
		c := &config.Route{Allow: prefixes(), Deny: prefixes()}
		s := newSources(c)
		for range 20 {
			a := address()
			if got, want := s.admit(a), admits(c, a); got != want {
				t.Fatalf("allow %v, deny %v: %v is admitted: %v, want %v", c.Allow, c.Deny, a, got, want)
			}
			if a.Is4() && s.admit(netip.AddrFrom16(a.As16())) != admits(c, a) {
				t.Fatalf("%v gets round the rules in its mapped form", a)
			}
		}
	}
}

func TestTotals(t *testing.T) {
	l := NewLive(3)
	l.Swap(nothing{}, []*config.Route{{Name: "r"}})
	stats := l.Set().Routes[0].Stats
	for i := range 3 {
		c := stats.Shard(i)
		c.End(config.TCP, Closed)
		c.End(config.UDP, IdleTimedOut)
		c.Bytes(config.TCP, ToClient, 100)
		c.Bytes(config.UDP, ToOrigin, 10+i)
		c.Datagrams(ToOrigin, Forwarded, 5)
		c.Datagrams(ToClient, Amplified, 1)
		c.Connected(time.Millisecond)
	}
	stats.Shard(1).End(config.UDP, Evicted)
	stats.Shard(2).Connected(time.Hour)
	want := Totals{
		Ended: map[config.Protocol]map[Verdict]uint64{
			config.TCP: {Closed: 3}, config.UDP: {IdleTimedOut: 3, Evicted: 1}},
		Bytes: map[config.Protocol]map[Direction]uint64{
			config.TCP: {ToClient: 300}, config.UDP: {ToOrigin: 33}},
		Datagrams: map[Direction]map[Verdict]uint64{
			ToOrigin: {Forwarded: 15}, ToClient: {Amplified: 3}},
	}
	want.Connects.Counts[3], want.Connects.Counts[len(Bounds)] = 3, 1
	want.Connects.Sum = time.Hour + 3*time.Millisecond
	if diff := cmp.Diff(want, stats.Totals()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTotalsWhileCounting is for the race detector.
func TestTotalsWhileCounting(t *testing.T) {
	stats := newStats(1)
	var loop sync.WaitGroup
	loop.Go(func() {
		for range 1000 {
			stats.Shard(0).End(config.TCP, Closed)
			stats.Shard(0).Datagrams(ToOrigin, Forwarded, 1)
			stats.Shard(0).Bytes(config.UDP, ToOrigin, 1)
			stats.Shard(0).Connected(time.Second)
		}
	})
	for last := uint64(0); last < 1000; {
		now := stats.Totals().Ended[config.TCP][Closed]
		if now < last {
			t.Fatalf("%d came after %d", now, last)
		}
		last = now
	}
	loop.Wait()
}

// table sends everything to one route.
type table struct{ to *config.Route }

func (t table) Lookup(config.Protocol, netip.AddrPort) *config.Route { return t.to }

func TestSwap(t *testing.T) {
	dst := netip.MustParseAddrPort("192.0.2.1:53")
	l := NewLive(1)
	if l.Set().Lookup(config.UDP, dst) != nil {
		t.Error("a route is there before the first swap")
	}
	origins := []config.Origin{{Text: "10.0.0.5", Weight: 1}}
	stays, goes := &config.Route{Name: "stays", Origins: origins}, &config.Route{Name: "goes"}
	l.Swap(table{stays}, []*config.Route{stays, goes})
	before := l.Set().Lookup(config.UDP, dst)
	if before == nil || before.Route != stays {
		t.Fatalf("looked up %v, want %v", before, stays)
	}
	before.Admit(config.UDP, alice)
	before.Origins.Origins[0].Begin()
	before.Stats.Shard(0).End(config.UDP, Closed)

	again, comes := &config.Route{Name: "stays", Origins: origins, MaxFlows: 1}, &config.Route{Name: "comes"}
	l.Swap(table{again}, []*config.Route{comes, again})
	after := l.Set().Lookup(config.UDP, dst)
	if after.Route != again || after == before {
		t.Fatal("the old route is still in service")
	}
	if after.Stats.Totals().Ended[config.UDP][Closed] != 1 || after.Origins.Origins[0].Active() != 1 {
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
		t.Error("a new route counts by itself, in the order of the file")
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

func TestEveryVerdictHasItsWord(t *testing.T) {
	seen := map[string]Verdict{}
	for v := range Verdicts {
		if other, taken := seen[v.String()]; v.String() == "" || taken {
			t.Errorf("verdict %d is called %q, like %d", v, v, other)
		}
		seen[v.String()] = v
	}
}
