package steering

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"anyport/config"
)

// FuzzTable compares the compiled table with the naive scan.
func FuzzTable(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := newDice(seed)
		cfg := d.config()
		table, err := Compile(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			protocol, dst, client := d.protocol(), d.dst(), d.client()
			want, _ := naive(cfg, protocol, dst, client)
			checkDecision(t, table, protocol, dst, client, want)
			checkExplanation(t, table.Explain(protocol, dst, client), want)
		}
	})
}

func checkDecision(t *testing.T, table *Table, protocol config.Protocol, dst netip.AddrPort, client netip.Addr, want Decision) {
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
func checkExplanation(t *testing.T, e Explanation, want Decision) {
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

// FuzzTie: Compile refuses a table exactly when two of its routes tie.
func FuzzTie(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := newDice(seed)
		cfg := &config.Config{Routes: []*config.Route{d.route(0), d.route(1), d.route(2)}}
		for _, r := range cfg.Routes {
			r.Prefixes = r.Prefixes[:1]
		}
		cfg.Routes[1].Prefixes = cfg.Routes[0].Prefixes
		tied := d.tied(cfg, cfg.Routes[0]) || d.tied(cfg, cfg.Routes[2])
		if _, err := Compile(cfg); (err != nil) != tied {
			t.Fatalf("Compile says %v, the naive scan %v", err, tied)
		}
	})
}

func TestLookup(t *testing.T) {
	table := compile(t, precedence()...)
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
		{config.UDP, "192.0.2.53:54", ""},    // net is TCP alone
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
	all, dns, none := route("all", "1-65535", "192.0.2.0/25"), route("dns", "53", "192.0.2.0/24"), route("none", "1-65535", "192.0.2.128/25")
	none.Ports = append(none.Ports, portRange("161"))
	none.ExceptReflectors, none.ExceptPorts = true, []config.PortRange{portRange("22")}
	for _, r := range []*config.Route{all, dns, none} {
		r.Protocols = []config.Protocol{config.TCP, config.UDP}
	}
	table := compile(t, all, dns, none)
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
		got := table.Explain(test.protocol, dst, netip.Addr{})
		if got.routeName() != test.route || (got.Verdict == Steer) != (test.route != "") || (len(got.Notes) > 0) != test.note {
			t.Errorf("%v %s: want route %q, note %t, got\n%v", test.protocol, test.dst, test.route, test.note, got)
		}
	}
	for dst, want := range map[string]string{
		"192.0.2.1:123":   `note: udp port 123 is ntp, through which others can be attacked: except_ports = ["reflectors"] of route "all" leaves it out`,
		"192.0.2.129:123": `because: route "none" on 192.0.2.128/25 lost: its except_ports have "reflectors", and udp port 123 is ntp`,
	} {
		if got := table.Explain(config.UDP, netip.MustParseAddrPort(dst), netip.Addr{}).String(); !strings.Contains(got, want+"\n") {
			t.Errorf("%s is explained by\n%s", dst, got)
		}
	}
}

// TestEgress: UDP to an egress prefix is steered, and no route's; TCP is unmatched.
func TestEgress(t *testing.T) {
	r := route("game", "1-65535", "192.0.2.0/24")
	r.Protocols, r.EgressPrefixes = []config.Protocol{config.TCP, config.UDP}, prefixes("198.51.100.0/24")
	again := route("too", "1-65535", "192.0.3.0/24")
	again.EgressPrefixes = r.EgressPrefixes
	table := compile(t, r, again)
	dst := netip.MustParseAddrPort("198.51.100.7:40000")
	udp, tcp := table.Explain(config.UDP, dst, netip.Addr{}), table.Explain(config.TCP, dst, netip.Addr{})
	want := []string{"198.51.100.0/24 is among egress_prefixes: what an origin sends there is steered back, and goes to the flow that it answers"}
	if udp.Verdict != Steer || udp.Route != nil || !slices.Equal(udp.Because, want) {
		t.Errorf("got\n%v", udp)
	}
	if tcp.Verdict != Refuse || tcp.Route != nil {
		t.Errorf("got\n%v", tcp)
	}
	if got := table.Lookup(config.UDP, dst); got != nil {
		t.Errorf("route %q would begin a flow", got.Name)
	}
}

// TestLookupAllocates: the proxy asks for every conn and flow.
func TestLookupAllocates(t *testing.T) {
	table := compile(t, precedence()...)
	dst := netip.MustParseAddrPort("192.0.2.53:54")
	if n := testing.AllocsPerRun(100, func() { table.Lookup(config.TCP, dst) }); n != 0 {
		t.Errorf("%v allocations a lookup", n)
	}
}

// TestCompileShares: prefixes of one route, and nested ones alike, share their intervals.
func TestCompileShares(t *testing.T) {
	wide, narrow := route("wide", "1-65535"), route("narrow", "80")
	for i := range 256 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16)
		wide.Prefixes = append(wide.Prefixes, p)
		narrow.Prefixes = append(narrow.Prefixes, netip.PrefixFrom(p.Addr(), 24))
	}
	table := compile(t, wide, narrow)
	if n := len(table.intervals); n > 16 {
		t.Errorf("%d intervals for two port maps", n)
	}
	if n := table.Prefixes(); n != 512 {
		t.Errorf("%d prefixes, want 512", n)
	}
}

func TestCompileRefuses(t *testing.T) {
	mapped := route("mapped", "1", "192.0.2.0/24")
	mapped.Deny = []netip.Prefix{netip.MustParsePrefix("::ffff:198.51.100.0/120")}
	for want, routes := range map[string][]*config.Route{
		`prefix 192.0.2.0/24: tcp: two routes take port 85 with equally narrow ranges, 80-90 and 85-95`: {
			route("a", "80-90", "192.0.2.0/24"), route("b", "85-95", "192.0.2.0/24")},
		`route "zero": invalid Prefix is no IPv4 or IPv6 prefix; write an IPv4-mapped one as IPv4`: {
			{Name: "zero", Prefixes: []netip.Prefix{{}}}},
		`route "mapped": ::ffff:198.51.100.0/120 is no IPv4 or IPv6 prefix; write an IPv4-mapped one as IPv4`: {mapped},
	} {
		if _, err := Compile(&config.Config{Routes: routes}); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestSources: the file's words, and that no spelling of an address gets round them.
func TestSources(t *testing.T) {
	for _, test := range []struct {
		allow, deny, client string
		want                bool
	}{
		{"", "", "198.51.100.1", true},
		{"", "198.51.100.0/24", "198.51.100.1", false},
		{"", "198.51.100.0/24", "::ffff:198.51.100.1", false},
		{"", "198.51.100.0/24", "198.51.101.1", true},
		{"198.51.100.0/24", "", "198.51.100.1", true},
		{"198.51.100.0/24", "", "198.51.101.1", false},
		{"198.51.100.0/24", "198.51.100.0/24", "198.51.100.1", false},
		{"198.51.100.1/32", "198.51.100.0/24", "198.51.100.1", true},
		{"198.51.100.0/24", "198.51.100.1/32", "198.51.100.1", false},
		{"::/0", "", "198.51.100.1", false},
		{"::/0", "", "::ffff:198.51.100.1", false},
		{"0.0.0.0/0", "", "2001:db8::1", false},
		{"", "fe80::/10", "fe80::1%eth0", false},
	} {
		r := route("r", "1")
		r.Allow, r.Deny = prefixes(test.allow), prefixes(test.deny)
		if got := config.NewClients(r.Allow, r.Deny).Admits(netip.MustParseAddr(test.client)); got != test.want {
			t.Errorf("allow %q, deny %q: admits(%s) = %v", test.allow, test.deny, test.client, got)
		}
	}
}

// precedence is one case of each rule that decides between routes.
func precedence() []*config.Route {
	net := route("net", "1-65535", "192.0.2.0/24")
	net.ExceptPorts = []config.PortRange{{First: 22, Last: 22}}
	telnet := route("telnet", "23", "192.0.2.0/24")
	telnet.Action = config.Refuse
	dns := route("dns", "53", "192.0.2.53", "2001:db8::/64")
	dns.Protocols = []config.Protocol{config.TCP, config.UDP}
	return []*config.Route{net, route("web", "80", "192.0.2.0/24"), telnet, dns}
}

// route forwards tcp on ports ("a" or "a-b") of the prefixes.
func route(name, ports string, on ...string) *config.Route {
	return &config.Route{
		Name:      name,
		Protocols: []config.Protocol{config.TCP},
		Prefixes:  prefixes(on...),
		Ports:     []config.PortRange{portRange(ports)},
		Action:    config.Forward,
		Origins:   []config.Origin{{Text: "10.0.0.5", Addr: netip.MustParseAddr("10.0.0.5"), Weight: 1}},
	}
}

func portRange(text string) config.PortRange {
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	return config.PortRange{First: port(first), Last: port(last)}
}

func port(text string) uint16 { return netip.MustParseAddrPort("0.0.0.0:" + text).Port() }

// prefixes parses addresses and prefixes; "" is none.
func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		switch {
		case text == "":
		case strings.Contains(text, "/"):
			all = append(all, netip.MustParsePrefix(text))
		default:
			a := netip.MustParseAddr(text)
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return all
}

func compile(t testing.TB, routes ...*config.Route) *Table {
	t.Helper()
	table, err := Compile(&config.Config{Routes: routes})
	if err != nil {
		t.Fatal(err)
	}
	return table
}
