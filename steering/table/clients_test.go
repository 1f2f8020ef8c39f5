package table_test

import (
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

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
		r := tabletest.Route("r", "1", "192.0.2.1")
		r.Allow, r.Deny = tabletest.Prefixes(test.allow), tabletest.Prefixes(test.deny)
		d := tabletest.Compile(t, r).Decide(config.TCP, netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddr(test.client))
		if got := d.Verdict != table.Deny; got != test.want {
			t.Errorf("allow %q, deny %q: admits(%s) = %v", test.allow, test.deny, test.client, got)
		}
	}
}
