package config

import (
	"net/netip"
	"strings"
	"testing"
)

// TestOriginCheck: an address that a name has at run time is refused for the same reasons as one in
// the file.
func TestOriginCheck(t *testing.T) {
	cfg := parse(t, `
[route.a]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "198.51.100.7", "2001:db8:1::/48"]
ports = [80, 443]
origins = ["app.example", "10.0.0.5"]
[route.b]
protocol = "udp"
prefixes = ["203.0.113.1"]
origins = ["10.0.0.6"]
egress_prefixes = ["100.64.0.0/24"]
`)
	check := NewOriginCheck(cfg.Routes)
	for addr, want := range map[string]string{
		"10.0.0.5":           "",
		"192.0.3.1":          "",
		"2001:db8:2::1":      "",
		"127.0.0.1":          "",
		"192.0.2.9":          `route "a" (line 2) serves 192.0.2.0/24`,
		"2001:db8:1:2::3":    `route "a" (line 2) serves 2001:db8:1::/48`,
		"198.51.100.7":       `it is a loop: route "a" (line 2) takes tcp port 80`,
		"203.0.113.1":        `it is a loop: route "b" (line 7) takes udp port 80`,
		"100.64.0.9":         `egress prefix 100.64.0.0/24 of route "b"`,
		"0.0.0.0":            "not the address of one host",
		"ff02::1":            "not the address of one host",
		"fe80::1":            "link-local",
		"::ffff:192.0.2.200": "IPv4-mapped",
	} {
		o := cfg.Routes[0].Origins[0]
		o.Addr = netip.MustParseAddr(addr)
		err := check.Refuse(cfg.Routes[0], o)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
	o := cfg.Routes[0].Origins[0]
	o.Addr, o.Ports = netip.MustParseAddr("198.51.100.7"), PortRange{8080, 8080}
	if err := check.Refuse(cfg.Routes[0], o); err != nil {
		t.Errorf("a port that no route takes: %v", err)
	}
}

func TestRouteDials(t *testing.T) {
	four, six := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")
	for name, c := range map[string]struct {
		route     Route
		four, six bool
	}{
		"neither": {Route{}, true, true},
		"source":  {Route{Source: []netip.Addr{four}}, true, false},
		"both":    {Route{Source: []netip.Addr{four, six}}, true, true},
		"egress":  {Route{EgressPrefixes: []netip.Prefix{netip.PrefixFrom(six, 64)}}, false, true},
	} {
		if c.route.Dials(four) != c.four || c.route.Dials(six) != c.six {
			t.Errorf("%s: %v %v, want %v %v", name, c.route.Dials(four), c.route.Dials(six), c.four, c.six)
		}
	}
}
