package proxy

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/proxy/trend"
)

// one takes everything to one route.
type one struct{ *config.Route }

func (o one) Lookup(config.Protocol, netip.AddrPort) *config.Route { return o.Route }

func (one) Passes(config.Protocol, netip.AddrPort) bool { return false }

func TestStatus(t *testing.T) {
	web := &config.Route{
		Name:      "web",
		Protocols: []config.Protocol{config.TCP, config.UDP},
		Prefixes:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Ports:     []config.PortRange{{First: 80, Last: 80}, {First: 1000, Last: 2000}},
		Action:    config.Forward,
		MaxConns:  2,
		Origins:   []config.Origin{{Text: "10.0.0.5", Addr: netip.MustParseAddr("10.0.0.5"), Weight: 1}},
	}
	s := New(Options{Workers: 1, MaxFlows: 10, Log: slog.New(slog.DiscardHandler)})
	if got := s.Status(); len(got) != 0 {
		t.Errorf("before the first Try there are routes: %+v", got)
	}
	s.Try(one{web}, []*config.Route{web}).Keep(one{web})

	served := s.routes.Set().Routes[0]
	client := netip.MustParseAddr("198.51.100.9")
	for range 2 {
		if v := served.Admit(config.TCP, client); v != route.Admitted {
			t.Fatal(v)
		}
	}
	served.Origins().Origins[0].Begin()
	first, second := served.Stats.Shard(0), served.Stats.Shard(1)
	for range 3 {
		first.Arrive(config.TCP)
	}
	second.Arrive(config.UDP)
	first.End(config.TCP, served.Admit(config.TCP, client))
	second.End(config.UDP, route.Denied)
	first.Bytes(config.TCP, route.ToOrigin, 10)
	second.Bytes(config.UDP, route.ToOrigin, 5)
	second.Bytes(config.UDP, route.ToClient, 7)
	second.Datagrams(route.ToOrigin, route.Forwarded, 3)
	s.routes.Unrouted.Shard(0).End(config.TCP, route.NoRoute)

	want := []RouteStatus{{
		Name: "web", Protocol: []string{"tcp", "udp"}, Prefixes: []string{"192.0.2.0/24"}, Ports: []string{"80", "1000-2000"}, Action: "forward",
		ConnsActive: 2, ConnsTotal: 4, Denied: 1, Limited: 1, ConnsPeak: 2, MaxConns: 2, BytesToOrigin: 15, BytesToClient: 7,
		Fast:   FastStatus{Datagrams: map[string]uint64{}, Refused: map[string]uint64{}},
		Active: map[string]int64{"tcp": 2, "udp": 0},
		Bytes:  map[string]map[string]uint64{"tcp": {"to_origin": 10}, "udp": {"to_origin": 5, "to_client": 7}},
		Counts: Counts{
			Ended:     map[string]map[string]uint64{"tcp": {"max_conns": 1}, "udp": {"denied": 1}},
			Datagrams: map[string]map[string]uint64{"to_origin": {"forwarded": 3}, "to_client": {}},
		},
		Sessions: map[string]trend.Sum{},
		Origins:  []OriginStatus{{Address: "10.0.0.5", Up: true, Weight: 1, State: "up", Changes: map[string]uint64{}, Health: "unchecked", ConnectErrors: map[string]uint64{}, ConnsActive: 1, ConnsTotal: 1, ConnsPeak: 1}},
	}}
	if diff := cmp.Diff(want, s.Status()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := s.Unrouted().Ended["tcp"]["no_route"]; got != 1 {
		t.Errorf("%d conns without a route, want 1", got)
	}
}
