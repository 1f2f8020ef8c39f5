package table_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

// FuzzTable compares the compiled table with the naive scan.
func FuzzTable(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := tabletest.NewDice(seed)
		cfg := d.Config()
		table, err := table.Compile(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			protocol, dst, client := d.Protocol(), d.Dst(), d.Client()
			want, _ := tabletest.Naive(cfg, protocol, dst, client)
			checkDecision(t, table, protocol, dst, client, want)
			checkExplanation(t, table.Explain(protocol, dst, client), want)
		}
	})
}

func checkDecision(t *testing.T, table *table.Table, protocol config.Protocol, dst netip.AddrPort, client netip.Addr, want table.Decision) {
	t.Helper()
	got := table.Decide(protocol, dst, client)
	if want.Route == nil {
		want.Prefix = got.Prefix // the naive scan does not tell it
	}
	if got != want {
		t.Fatalf("%v %v from %v: got %+v, want %+v", protocol, dst, client, got, want)
	}
	forwards := want.Route != nil && want.Route.Action == config.Forward
	if route := table.Lookup(protocol, dst); (route != nil) != forwards || forwards && route != want.Route {
		t.Fatalf("%v %v: Lookup = %v, want the route of %+v", protocol, dst, route, want)
	}
}

// checkExplanation: exactly the winner has a line that says so.
func checkExplanation(t *testing.T, e table.Explanation, want table.Decision) {
	t.Helper()
	won := 0
	for _, b := range e.Because {
		if strings.Contains(b, " won: ") {
			won++
		}
	}
	if e.Verdict != want.Verdict || won > 1 || (won == 1) != (want.Route != nil) {
		t.Fatalf("got\n%v, want %+v", e, want)
	}
}

func TestLookup(t *testing.T) {
	table := tabletest.Compile(t, precedence()...)
	for _, test := range []struct {
		protocol config.Protocol
		dst      string
		want     string // the route's name, "" for none
	}{
		{config.TCP, "192.0.2.9:1", "net"},
		{config.TCP, "192.0.2.9:65535", "net"},
		{config.TCP, "192.0.2.9:80", "web"},
		{config.TCP, "192.0.2.9:22", ""},     // except_ports of net, and no other takes it
		{config.TCP, "192.0.2.9:23", ""},     // refused by its own route
		{config.TCP, "192.0.2.53:53", "dns"}, // the longer prefix
		{config.TCP, "192.0.2.53:54", "net"}, // no route of the longer prefix takes it
		{config.UDP, "192.0.2.53:54", ""},    // net is only TCP
		{config.UDP, "192.0.2.53:53", "dns"},
		{config.TCP, "[::ffff:192.0.2.9]:80", "web"},
		{config.TCP, "[2001:db8::1]:53", "dns"},
		{config.TCP, "192.0.3.1:80", ""},
		{config.TCP, "192.0.2.9:0", ""},
		{config.Protocol(132), "192.0.2.9:80", ""},
	} {
		got := ""
		if route := table.Lookup(test.protocol, netip.MustParseAddrPort(test.dst)); route != nil {
			got = route.Name
		}
		if got != test.want {
			t.Errorf("%v %s: route %q, want %q", test.protocol, test.dst, got, test.want)
		}
	}
}

// TestReflectors: a route on all ports takes the UDP ports of known reflectors with a note.
// With "reflectors" among its except_ports they fall to the next shorter prefix.
func TestReflectors(t *testing.T) {
	all, dns, none := tabletest.Route("all", "1-65535", "192.0.2.0/25"), tabletest.Route("dns", "53", "192.0.2.0/24"), tabletest.Route("none", "1-65535", "192.0.2.128/25")
	none.Ports = append(none.Ports, tabletest.PortRange("161"))
	none.ExceptReflectors, none.ExceptPorts = true, []config.PortRange{tabletest.PortRange("22")}
	for _, r := range []*config.Route{all, dns, none} {
		r.Protocols = []config.Protocol{config.TCP, config.UDP}
	}
	compiled := tabletest.Compile(t, all, dns, none)
	for _, test := range []struct {
		protocol config.Protocol
		dst      string
		route    string
		note     bool
	}{
		{config.UDP, "192.0.2.1:7777", "all", false},
		{config.UDP, "192.0.2.1:53", "all", true},
		{config.UDP, "192.0.2.1:123", "all", true},
		{config.TCP, "192.0.2.1:53", "all", false},
		{config.UDP, "192.0.2.129:7777", "none", false},
		{config.UDP, "192.0.2.129:123", "", false},
		{config.UDP, "192.0.2.129:161", "", false},
		{config.UDP, "192.0.2.129:22", "", false},
		{config.UDP, "192.0.2.129:53", "dns", false},
		{config.TCP, "192.0.2.129:123", "none", false},
		{config.TCP, "192.0.2.129:53", "none", false},
	} {
		dst := netip.MustParseAddrPort(test.dst)
		got := compiled.Explain(test.protocol, dst, netip.Addr{})
		if got.RouteName() != test.route || (got.Verdict == table.Steer) != (test.route != "") || (len(got.Notes) > 0) != test.note {
			t.Errorf("%v %s: want route %q, note %t, got\n%v", test.protocol, test.dst, test.route, test.note, got)
		}
	}
	for dst, want := range map[string]string{
		"192.0.2.1:123":   `note: udp port 123 is ntp, through which others can be attacked: except_ports = ["reflectors"] of route "all" leaves it out`,
		"192.0.2.129:123": `because: route "none" on 192.0.2.128/25 lost: its except_ports have "reflectors", and udp port 123 is ntp`,
	} {
		if got := compiled.Explain(config.UDP, netip.MustParseAddrPort(dst), netip.Addr{}).String(); !strings.Contains(got, want+"\n") {
			t.Errorf("%s is explained by\n%s", dst, got)
		}
	}
}

// TestEgress: UDP to an egress prefix is steered, and no route's; TCP is unmatched.
func TestEgress(t *testing.T) {
	r := tabletest.Route("game", "1-65535", "192.0.2.0/24")
	r.Protocols, r.EgressPrefixes = []config.Protocol{config.TCP, config.UDP}, tabletest.Prefixes("198.51.100.0/24")
	again := tabletest.Route("too", "1-65535", "192.0.3.0/24")
	again.EgressPrefixes = r.EgressPrefixes
	compiled := tabletest.Compile(t, r, again)
	dst := netip.MustParseAddrPort("198.51.100.7:40000")
	udp, tcp := compiled.Explain(config.UDP, dst, netip.Addr{}), compiled.Explain(config.TCP, dst, netip.Addr{})
	want := []string{"198.51.100.0/24 is among egress_prefixes: what an origin sends there is steered back, and goes to the flow that it answers"}
	if udp.Verdict != table.Steer || udp.Route != nil || !slices.Equal(udp.Because, want) {
		t.Errorf("got\n%v", udp)
	}
	if tcp.Verdict != table.Refuse || tcp.Route != nil {
		t.Errorf("got\n%v", tcp)
	}
	if got := compiled.Lookup(config.UDP, dst); got != nil {
		t.Errorf("route %q would begin a flow", got.Name)
	}
}

// TestLookupAllocates: the proxy asks for every conn and flow.
func TestLookupAllocates(t *testing.T) {
	table := tabletest.Compile(t, precedence()...)
	dst := netip.MustParseAddrPort("192.0.2.53:54")
	if n := testing.AllocsPerRun(100, func() { table.Lookup(config.TCP, dst) }); n != 0 {
		t.Errorf("%v allocations a lookup", n)
	}
}

// precedence is one case of each rule that decides between routes.
func precedence() []*config.Route {
	net := tabletest.Route("net", "1-65535", "192.0.2.0/24")
	net.ExceptPorts = []config.PortRange{{First: 22, Last: 22}}
	telnet := tabletest.Route("telnet", "23", "192.0.2.0/24")
	telnet.Action = config.Refuse
	dns := tabletest.Route("dns", "53", "192.0.2.53", "2001:db8::/64")
	dns.Protocols = []config.Protocol{config.TCP, config.UDP}
	return []*config.Route{net, tabletest.Route("web", "80", "192.0.2.0/24"), telnet, dns}
}
