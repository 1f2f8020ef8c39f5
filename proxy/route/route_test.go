package route

import (
	"net/netip"
	"sync"
	"testing"

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
		{"a denied client takes no place", config.Route{MaxConns: 1, Deny: []netip.Prefix{netip.PrefixFrom(alice, 32)}},
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

func TestEveryVerdictHasItsWord(t *testing.T) {
	seen := map[string]Verdict{}
	for v := range Verdicts {
		if other, taken := seen[v.String()]; v.String() == "" || taken {
			t.Errorf("verdict %d is called %q, like %d", v, v, other)
		}
		seen[v.String()] = v
	}
}

// TestClientOfManyAddresses: an IPv6 /64 is one client, whichever of its addresses come and
// go; an IPv4 address is one client.
func TestClientOfManyAddresses(t *testing.T) {
	for _, test := range []struct {
		second string
		want   Verdict
	}{
		{"2001:db8::2", OverMaxPerClient}, {"2001:db8::ffff:ffff:ffff:ffff", OverMaxPerClient},
		{"2001:db8:0:1::1", Admitted}, {"192.0.2.1", Admitted},
	} {
		l := NewLive(1)
		l.Swap(nothing{}, []*config.Route{{Name: "r", MaxConnsPerClient: 1}})
		r, first, second := l.Set().Routes[0], netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr(test.second)
		r.Admit(config.TCP, first)
		if got := r.Admit(config.UDP, second); got != test.want {
			t.Errorf("%v beside %v: %v, want %v", second, first, got, test.want)
		}
		r.Release(config.TCP, first)
		if test.want == Admitted {
			r.Release(config.UDP, second)
		}
		if left := len(r.Stats.perClient.held); left > 0 {
			t.Errorf("%d clients are left", left)
		}
	}
}
