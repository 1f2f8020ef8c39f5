package table_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"anyport/config"
	"anyport/config/hours"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

// TestExplainHours: the verdict of a time, and when it changes. A denied client is denied at all times.
func TestExplainHours(t *testing.T) {
	e, err := hours.Parse("Mon..Fri 08:00..18:00 Europe/Stockholm")
	if err != nil {
		t.Fatal(err)
	}
	r := tabletest.Route("web", "80", "192.0.2.0/24")
	r.Active, r.Inactive, r.Deny = hours.Schedule{e}, config.Drop, tabletest.Prefixes("198.51.100.0/24")
	compiled := tabletest.Compile(t, r)
	for _, test := range []struct {
		at, client string
		want       table.Verdict
		because    string
	}{
		{"2026-11-30T17:59:59+01:00", "203.0.113.9", table.Steer, `active of route "web" holds 2026-11-30T17:59:59+01:00: it is in force until 2026-11-30T18:00:00+01:00`},
		{"2026-11-30T18:00:00+01:00", "203.0.113.9", table.Inactive, `active of route "web" does not hold 2026-11-30T18:00:00+01:00: it is not in force until 2026-12-01T08:00:00+01:00; inactive = "drop"`},
		{"2026-11-30T18:00:00+01:00", "198.51.100.9", table.Deny, `active of route "web" does not hold 2026-11-30T18:00:00+01:00: it is not in force until 2026-12-01T08:00:00+01:00; inactive = "drop"`},
	} {
		at, err := time.Parse(time.RFC3339, test.at)
		if err != nil {
			t.Fatal(err)
		}
		got := compiled.ExplainAt(config.TCP, netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddr(test.client), at)
		if got.Verdict != test.want || !slices.Contains(got.Because, test.because) {
			t.Errorf("%s from %s: %s, because %q", test.at, test.client, got.Verdict, got.Because)
		}
		if (len(got.Origins) > 0) != (test.want == table.Steer) {
			t.Errorf("%s: origins %v", test.at, got.Origins)
		}
	}
}
