package table_test

import (
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

// TestCompileShares: prefixes of one route, and nested ones alike, share their intervals.
func TestCompileShares(t *testing.T) {
	wide, narrow := tabletest.Route("wide", "1-65535"), tabletest.Route("narrow", "80")
	for i := range 256 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16)
		wide.Prefixes = append(wide.Prefixes, p)
		narrow.Prefixes = append(narrow.Prefixes, netip.PrefixFrom(p.Addr(), 24))
	}
	table := tabletest.Compile(t, wide, narrow)
	if n := len(table.Intervals()); n > 16 {
		t.Errorf("%d intervals for two port maps", n)
	}
	if n := table.Prefixes(); n != 512 {
		t.Errorf("%d prefixes, want 512", n)
	}
}

func TestCompileRefuses(t *testing.T) {
	mapped := tabletest.Route("mapped", "1", "192.0.2.0/24")
	mapped.Deny = []netip.Prefix{netip.MustParsePrefix("::ffff:198.51.100.0/120")}
	for want, routes := range map[string][]*config.Route{
		`prefix 192.0.2.0/24: tcp: two routes take port 85 with equally narrow ranges, 80-90 and 85-95`: {
			tabletest.Route("a", "80-90", "192.0.2.0/24"), tabletest.Route("b", "85-95", "192.0.2.0/24")},
		`route "zero": invalid Prefix is not an IPv4 or IPv6 prefix; write an IPv4-mapped one as IPv4`: {
			{Name: "zero", Prefixes: []netip.Prefix{{}}}},
		`route "mapped": ::ffff:198.51.100.0/120 is not an IPv4 or IPv6 prefix; write an IPv4-mapped one as IPv4`: {mapped},
	} {
		if _, err := table.Compile(&config.Config{Routes: routes}); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// FuzzTie: Compile refuses a table exactly when two of its routes tie.
func FuzzTie(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := tabletest.NewDice(seed)
		cfg := &config.Config{Routes: []*config.Route{d.Route(0), d.Route(1), d.Route(2)}}
		for _, r := range cfg.Routes {
			r.Prefixes = r.Prefixes[:1]
		}
		cfg.Routes[1].Prefixes = cfg.Routes[0].Prefixes
		tied := d.Tied(cfg, cfg.Routes[0]) || d.Tied(cfg, cfg.Routes[2])
		if _, err := table.Compile(cfg); (err != nil) != tied {
			t.Fatalf("Compile says %v, the naive scan %v", err, tied)
		}
	})
}
