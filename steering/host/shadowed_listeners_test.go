package host

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

func TestShadowed(t *testing.T) {
	ssh := Listener{Protocol: config.TCP, Addr: netip.MustParseAddrPort("0.0.0.0:22"), Process: "sshd", PID: 812}
	dual := ssh
	dual.Addr = netip.MustParseAddrPort("[::]:22")
	v6only := dual
	v6only.IPv6Only = true
	on := func(addr string) Listener {
		l := ssh
		l.Addr = netip.MustParseAddrPort(addr)
		return l
	}
	resolver := ssh
	resolver.Process = "resolver"
	own := func(_ *config.Route, l Listener) bool { return l.Process == "resolver" }
	leadsToService := func(c *config.Config) { c.Routes[0].Action, c.Routes[0].Service = config.Socket, "resolver.service" }
	for _, test := range []struct {
		name     string
		listener Listener
		prefix   string
		change   func(*config.Config)
		want     []string // the addresses taken
	}{
		{"bound to a served address", on("192.0.2.7:22"), "192.0.2.0/24", nil, []string{"192.0.2.7"}},
		{"bound to another", on("198.51.100.7:22"), "192.0.2.0/24", nil, nil},
		{"a wildcard, an address of the host's own", ssh, "203.0.113.5", nil, []string{"203.0.113.5"}},
		{"a wildcard, no address of the host's own", ssh, "192.0.2.0/24", nil, nil},
		{"a wildcard of both families", dual, "203.0.113.5", nil, []string{"203.0.113.5"}},
		{"a wildcard of IPv6 alone, IPv4 served", v6only, "203.0.113.5", nil, nil},
		{"a wildcard of IPv6 alone, IPv6 served", v6only, "2001:db8:9::9", nil, []string{"2001:db8:9::9"}},
		{"a wildcard of IPv4, IPv6 served", ssh, "2001:db8:9::9", nil, nil},
		{"another protocol, but what no route takes is refused", ssh, "203.0.113.5",
			func(c *config.Config) { c.Routes[0].Protocols = []config.Protocol{config.UDP} }, []string{"203.0.113.5"}},
		{"another protocol, and what no route takes passes", ssh, "203.0.113.5", func(c *config.Config) {
			c.Routes[0].Protocols = []config.Protocol{config.UDP}
			c.Steering.Unmatched = config.Pass
		}, nil},
		{"kept by a route", ssh, "203.0.113.5", func(c *config.Config) {
			keep := tabletest.Route("keep", "22", "203.0.113.5")
			keep.Action = config.Pass
			c.Routes = append(c.Routes, keep)
		}, nil},
		{"the socket of the service that a route leads to", resolver, "203.0.113.5", leadsToService, nil},
		{"a socket of another process on the port of such a route", ssh, "203.0.113.5", leadsToService, []string{"203.0.113.5"}},
		{"the socket of the service, but the route does not lead to it", resolver, "203.0.113.5", nil, []string{"203.0.113.5"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := &config.Config{Routes: []*config.Route{tabletest.Route("game", "1-65535", test.prefix)}}
			if test.change != nil {
				test.change(cfg)
			}
			table, err := table.Compile(cfg)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range Shadowed(table, []Listener{test.listener}, aHost(), own) {
				for _, a := range s.Taken {
					got = append(got, a.String())
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestShadowProblem(t *testing.T) {
	r := tabletest.Route("game", "1-65535", "203.0.113.5", "10.0.0.9")
	r.Line = 7
	cfg := &config.Config{Path: "anyport.toml", Routes: []*config.Route{r}}
	listeners := []Listener{
		{Protocol: config.TCP, Addr: netip.MustParseAddrPort("0.0.0.0:22"), Process: "sshd", PID: 812},
		{Protocol: config.UDP, Addr: netip.MustParseAddrPort("10.0.0.9:53")},
	}
	want := `anyport.toml:7: route "game": ports: takes tcp port 22 of 10.0.0.9 from sshd (pid 812), which listens on 0.0.0.0:22: ` +
		`keep it with [route.keep-tcp-22] protocol = "tcp", prefixes = ["10.0.0.9", "203.0.113.5"], ports = [22], action = "pass"; or give it up with shadow_listeners = true in [steering]` + "\n" +
		`anyport.toml: steering.unmatched: takes udp port 53 of 10.0.0.9 from another process, which listens on 10.0.0.9:53: ` +
		`keep it with [route.keep-udp-53] protocol = "udp", prefixes = ["10.0.0.9"], ports = [53], action = "pass"; or give it up with shadow_listeners = true in [steering]`
	var got []string
	for _, s := range Shadowed(tabletest.Compile(t, r), listeners, aHost(), func(*config.Route, Listener) bool { return false }) {
		got = append(got, s.problem(cfg).String())
	}
	if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
		t.Error(diff)
	}
}
