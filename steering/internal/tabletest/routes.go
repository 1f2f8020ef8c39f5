package tabletest

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/gaissmai/bart"

	"anyport/config"
	"anyport/steering/table"
)

// Route forwards tcp on ports ("a" or "a-b") of the prefixes.
func Route(name, ports string, on ...string) *config.Route {
	return &config.Route{
		Name:      name,
		Protocols: []config.Protocol{config.TCP},
		Prefixes:  Prefixes(on...),
		Ports:     []config.PortRange{PortRange(ports)},
		Action:    config.Forward,
		Origins:   []config.Origin{{Text: "10.0.0.5", Addr: netip.MustParseAddr("10.0.0.5"), Weight: 1}},
	}
}

// PortRange parses "a" or "a-b".
func PortRange(text string) config.PortRange {
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	return config.PortRange{First: port(first), Last: port(last)}
}

func port(text string) uint16 { return netip.MustParseAddrPort("0.0.0.0:" + text).Port() }

// Prefixes parses addresses and prefixes; "" is none.
func Prefixes(texts ...string) []netip.Prefix {
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

// Compile compiles the routes, which must have no error.
func Compile(t testing.TB, routes ...*config.Route) *table.Table {
	t.Helper()
	table, err := table.Compile(&config.Config{Routes: routes})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Managed forwards everything on the prefixes, and keeps them local.
func Managed(on ...string) *config.Config {
	r := Route("all", "1-65535", on...)
	r.Protocols = []config.Protocol{config.TCP, config.UDP}
	return &config.Config{
		Steering: config.Steering{ManageRoutes: true},
		Routes:   []*config.Route{r},
	}
}

// Lite is a set of prefixes, separated by spaces.
func Lite(list string) *bart.Lite {
	all := new(bart.Lite)
	for _, p := range Prefixes(strings.Fields(list)...) {
		all.Insert(p)
	}
	return all
}
