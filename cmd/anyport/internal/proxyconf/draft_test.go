package proxyconf_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
	"anyport/steering/table"
)

// dsts are prefixes that often hold each other.
var dsts = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/29"), netip.MustParsePrefix("192.0.2.0/30"), netip.MustParsePrefix("192.0.2.4/30"),
	netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.6/32"), netip.MustParsePrefix("2001:db8::/126"),
	netip.MustParsePrefix("2001:db8::1/128"),
}

func randomPorts(random *rand.Rand) config.PortRange {
	first := uint16(1 + random.IntN(8))
	return config.PortRange{First: first, Last: first + uint16(random.IntN(4))}
}

// randomService has listens and choices. Each choice has an origin whose port is its number.
func randomService(random *rand.Rand) *proxyconf.Service {
	s := &proxyconf.Service{Name: "x", Line: &proxyconf.Line{File: "x"}}
	for range 1 + random.IntN(2) {
		s.Listens = append(s.Listens, proxyconf.Listen{Address: netip.IPv6Unspecified(), Both: true, Ports: randomPorts(random), Protocol: config.TCP, Line: s.Line})
	}
	n := random.IntN(5)
	for i := range n + 1 {
		c := proxyconf.Choice{Forwarding: &proxyconf.Forwarding{Origins: []proxyconf.Origin{{Host: "10.0.0.1", Port: 100 + i, Weight: 1}}}}
		if i < n && random.IntN(3) > 0 {
			c.To = append(c.To, dsts[random.IntN(len(dsts))], dsts[random.IntN(len(dsts))])
		}
		if i < n && random.IntN(3) > 0 {
			c.Ports = append(c.Ports, randomPorts(random))
		}
		s.Choices = append(s.Choices, c)
	}
	return s
}

// chosen is the number of the choice that takes a dst; -1: none.
func chosen(s *proxyconf.Service, served []netip.Prefix, dst netip.AddrPort) int {
	listens := slices.ContainsFunc(s.Listens, func(l proxyconf.Listen) bool { return l.Ports.Contains(dst.Port()) })
	if !listens || !slices.ContainsFunc(served, func(p netip.Prefix) bool { return p.Contains(dst.Addr()) }) {
		return -1
	}
	return slices.IndexFunc(s.Choices, func(c proxyconf.Choice) bool {
		return (len(c.To) == 0 || slices.ContainsFunc(c.To, func(p netip.Prefix) bool { return p.Contains(dst.Addr()) })) &&
			(len(c.Ports) == 0 || slices.ContainsFunc(c.Ports, func(r config.PortRange) bool { return r.Contains(dst.Port()) }))
	})
}

// TestChoices compares the routes of random choices with these: each dst goes where the first one
// that matches it says.
func TestChoices(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	served := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("192.0.2.4/30"), netip.MustParsePrefix("2001:db8::/125")}
	for range 400 {
		s := randomService(random)
		reading := &proxyconf.Reading{Services: []*proxyconf.Service{s}}
		var toml strings.Builder
		if err := reading.Draft(proxyconf.Options{Prefixes: served}).Write(&toml); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Parse("x.toml", []byte(toml.String()))
		if err != nil {
			t.Fatalf("%s\n%s", config.Detail(err), toml.String())
		}
		compiled, err := table.Compile(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, start := range []string{"192.0.1.255", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"} {
			addr := netip.MustParseAddr(start)
			for range 18 {
				for port := uint16(1); port < 14; port++ {
					dst := netip.AddrPortFrom(addr, port)
					got := -1
					if route := compiled.Lookup(config.TCP, dst); route != nil {
						got = int(route.Origins[0].Ports.First) - 100
					}
					if want := chosen(s, served, dst); got != want {
						t.Fatalf("%s goes to choice %d, want %d\n%s", dst, got, want, toml.String())
					}
				}
				addr = addr.Next()
			}
		}
	}
}

// TestNames: names of routes are valid, short and apart.
func TestNames(t *testing.T) {
	reading := &proxyconf.Reading{}
	for i, name := range []string{"Web Servers", "web-servers", strings.Repeat("long", 40), "ü", "", "a.b"} {
		line := &proxyconf.Line{File: "x", Number: i}
		reading.Services = append(reading.Services, &proxyconf.Service{
			Name: name, Line: line,
			Listens: []proxyconf.Listen{{Address: netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i+1)), Ports: config.PortRange{First: 1, Last: 65535}, Protocol: config.UDP, Line: line}},
			Choices: []proxyconf.Choice{{Forwarding: &proxyconf.Forwarding{Origins: []proxyconf.Origin{{Host: "10.0.0.1", Weight: 1}}}}},
		})
	}
	var toml strings.Builder
	if err := reading.Draft(proxyconf.Options{}).Write(&toml); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("x.toml", []byte(toml.String()))
	if err != nil {
		t.Fatalf("%s\n%s", config.Detail(err), toml.String())
	}
	if len(cfg.Routes) != len(reading.Services) {
		t.Errorf("%d routes", len(cfg.Routes))
	}
}
