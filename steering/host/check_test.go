package host

import (
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/steering/internal/tabletest"
)

// aHost has sshd on one address of a subnet with a gateway, and one address more.
func aHost() *Network {
	return &Network{
		Addresses: []Attached{
			{netip.MustParsePrefix("127.0.0.1/32"), "lo"},
			{netip.MustParsePrefix("::1/128"), "lo"},
			{netip.MustParsePrefix("10.0.0.9/32"), "eth0"},
			{netip.MustParsePrefix("203.0.113.5/32"), "eth1"},
			{netip.MustParsePrefix("2001:db8:9::9/128"), "eth0"},
		},
		Subnets: []Attached{
			{netip.MustParsePrefix("10.0.0.0/24"), "eth0"},
			{netip.MustParsePrefix("2001:db8:9::/64"), "eth0"},
		},
		Gateways: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8:9::1")},
	}
}

func TestCheckHost(t *testing.T) {
	const cut = ", so this host would be cut off: take longer prefixes that leave them out, or single addresses"
	for prefix, want := range map[string]string{
		"192.0.2.0/24":      "",
		"10.0.0.128/25":     "", // of the subnet, but none of its own
		"10.0.0.0/29":       "the gateway 10.0.0.1",
		"10.0.0.8/29":       "this host's address 10.0.0.9 on eth0",
		"10.0.0.9":          "",
		"10.0.0.1":          "",
		"10.0.0.0/8":        "the subnet 10.0.0.0/24 on eth0, the gateway 10.0.0.1, this host's address 10.0.0.9 on eth0",
		"203.0.113.0/24":    "this host's address 203.0.113.5 on eth1",
		"203.0.113.5":       "",
		"2001:db8:9::/64":   "the subnet 2001:db8:9::/64 on eth0, the gateway 2001:db8:9::1, this host's address 2001:db8:9::9 on eth0",
		"2001:db8:9::8/125": "this host's address 2001:db8:9::9 on eth0",
		"2001:db8:9::9":     "",
		"2001:db8:1::/48":   "",
		"127.0.0.0/8":       "",
		"::1":               "",
	} {
		r := tabletest.Route("game", "1-65535", prefix)
		r.Line = 7
		cfg := &config.Config{Path: "anyport.toml", Routes: []*config.Route{r}}
		if want != "" {
			want = `anyport.toml:7: route "game": prefixes[0]: ` + prefix + " covers " + want + cut
		}
		got := ""
		if err := CheckNetwork(cfg, aHost()); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestCheckHostEgress: an address of the host's own must not be given away at all.
func TestCheckHostEgress(t *testing.T) {
	r := tabletest.Route("game", "1-65535", "192.0.2.0/24")
	r.Line, r.EgressPrefixes = 7, tabletest.Prefixes("198.51.100.0/24", "10.0.0.9", "10.0.0.0/29")
	const other = ", whose UDP it would take: use addresses that this host has no other use for"
	want := `anyport.toml:7: route "game": egress_prefixes[1]: 10.0.0.9/32 covers this host's address 10.0.0.9 on eth0` + other + `
anyport.toml:7: route "game": egress_prefixes[2]: 10.0.0.0/29 covers the gateway 10.0.0.1` + other
	err := CheckNetwork(&config.Config{Path: "anyport.toml", Routes: []*config.Route{r}}, aHost())
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
