package table_test

import (
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

var found *config.Route // keeps the compiler from leaving the lookup out

// BenchmarkLookup is what the proxy asks for each conn and each flow.
func BenchmarkLookup(b *testing.B) {
	few := tabletest.Compile(b, precedence()...)
	many := tabletest.Compile(b, tabletest.ManyPrefixes(20_000, "one").Routes...)
	for _, test := range []struct {
		name  string
		table *table.Table
		dst   string
	}{
		{"longest", few, "192.0.2.53:53"},
		{"falls back", few, "192.0.2.53:54"},
		{"IPv6", few, "[2001:db8::1]:53"},
		{"elsewhere", few, "198.51.100.1:80"},
		{"many", many, "42.0.2.53:53"},
	} {
		b.Run(test.name, func(b *testing.B) {
			dst := netip.MustParseAddrPort(test.dst)
			for b.Loop() {
				found = test.table.Lookup(config.TCP, dst)
			}
		})
	}
}
