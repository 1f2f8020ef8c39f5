package proxyconf_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/config"
)

// few are prefixes that often hold each other.
var few = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("10.0.0.0/28"), netip.MustParsePrefix("10.0.0.0/29"),
	netip.MustParsePrefix("10.0.0.8/29"), netip.MustParsePrefix("10.0.0.4/30"), netip.MustParsePrefix("10.0.0.5/32"),
	netip.MustParsePrefix("10.0.0.9/32"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("2001:db8::/126"),
	netip.MustParsePrefix("2001:db8::2/128"),
}

// clients are the addresses in and around few.
func clients() []netip.Addr {
	var all []netip.Addr
	for a := netip.MustParseAddr("9.255.255.254"); len(all) < 20; a = a.Next() {
		all = append(all, a)
	}
	for a := netip.MustParseAddr("2001:db7:ffff:ffff:ffff:ffff:ffff:fffe"); len(all) < 28; a = a.Next() {
		all = append(all, a)
	}
	return all
}

// firstMatch is what rules say of a client.
func firstMatch(rules []proxyconf.AccessRule, client netip.Addr) bool {
	for _, r := range rules {
		held := slices.ContainsFunc(r.From, func(p netip.Prefix) bool { return p.Contains(client) })
		if held != r.Other {
			return !r.Deny
		}
	}
	return true
}

// TestLongLists: lists of addresses that scan have tens of thousands of lines.
func TestLongLists(t *testing.T) {
	var scanners []netip.Prefix
	for i := range 20_000 {
		scanners = append(scanners, proxyconf.Host(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})))
	}
	allow, deny := proxyconf.Access([]proxyconf.AccessRule{{From: scanners, Deny: true}})
	if len(allow) != 0 || len(deny) != len(scanners) {
		t.Errorf("%d allowed, %d denied", len(allow), len(deny))
	}
	allow, deny = proxyconf.Access([]proxyconf.AccessRule{{From: scanners, Other: true, Deny: true}})
	if len(allow) != len(scanners) || len(deny) != 0 {
		t.Errorf("only these: %d allowed, %d denied", len(allow), len(deny))
	}
}

// TestAccess compares the lists with the rules that they were compiled from.
func TestAccess(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var rules []proxyconf.AccessRule
		for range random.IntN(5) {
			r := proxyconf.AccessRule{Other: random.IntN(3) == 0, Deny: random.IntN(2) == 0}
			for range 1 + random.IntN(2) {
				r.From = append(r.From, few[random.IntN(len(few))])
			}
			rules = append(rules, r)
		}
		allow, deny := proxyconf.Access(rules)
		compiled := config.NewClients(allow, deny)
		for _, client := range clients() {
			if got, want := compiled.Admits(client), firstMatch(rules, client); got != want {
				t.Fatalf("%v: %s is admitted: %t, want %t; allow %v, deny %v", rules, client, got, want, allow, deny)
			}
		}
	}
}
