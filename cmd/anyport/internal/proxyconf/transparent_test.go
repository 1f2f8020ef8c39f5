package proxyconf_test

import (
	"net/netip"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// TestTransparent: a route that dials from the client's address has what package config allows then.
func TestTransparent(t *testing.T) {
	v4, v6 := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:1::/48")
	for _, c := range []struct {
		origins, prefixes, accept string
		want                      []string
	}{
		{"10.0.0.5", v4.String(), "", []string{`prefixes    = ["192.0.2.0/24"]`, "transparent = true"}},
		{"10.0.0.5 127.0.0.1", v4.String(), "", []string{"# not transparent: 127.0.0.1 is on this host", `origins  = ["10.0.0.5", "127.0.0.1"]`}},
		{"10.0.0.5", v4.String() + " " + v6.String(), "", []string{"# not served: [2001:db8:1::/48]", `prefixes    = ["192.0.2.0/24"]`, "transparent = true"}},
		{"10.0.0.5 fd00::5", v4.String(), "", []string{"# not an origin: fd00::5", `origins     = ["10.0.0.5"]`, "transparent = true"}},
		{"10.0.0.5", v6.String(), "", []string{"# not transparent: no server is of the family", `origins  = ["10.0.0.5"]`}},
		{"10.0.0.5", v6.String(), "10.1.0.0/16", []string{"transparent  = true"}},
		{"web.example", v4.String() + " " + v6.String(), "", []string{`prefixes    = ["192.0.2.0/24", "2001:db8:1::/48"]`, "transparent = true"}},
	} {
		f := &proxyconf.Forwarding{}
		for _, host := range strings.Fields(c.origins) {
			f.Origins = append(f.Origins, proxyconf.Origin{Host: host, Weight: 1})
		}
		f.Set(nil, "transparent", "true")
		line := &proxyconf.Line{File: "x"}
		l := proxyconf.Listen{Address: netip.IPv6Unspecified(), Both: true, Ports: config.PortRange{First: 80, Last: 80}, Protocol: config.TCP, Line: line}
		o := proxyconf.Options{}
		for _, p := range strings.Fields(c.prefixes) {
			o.Prefixes = append(o.Prefixes, netip.MustParsePrefix(p))
		}
		if c.accept != "" {
			l.AcceptProxy = []netip.Prefix{netip.MustParsePrefix(c.accept)}
		}
		reading := &proxyconf.Reading{Services: []*proxyconf.Service{{Name: "x", Line: line, Listens: []proxyconf.Listen{l}, Choices: []proxyconf.Choice{{Forwarding: f}}}}}
		var toml strings.Builder
		if err := reading.Draft(o).Write(&toml); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(toml.String(), want) {
				t.Errorf("%s\nlacks %s", toml.String(), want)
			}
		}
		if strings.Contains(toml.String(), "# not transparent") == strings.Contains(toml.String(), "= true") {
			t.Errorf("%s\nis transparent and is not", toml.String())
		}
	}
}
