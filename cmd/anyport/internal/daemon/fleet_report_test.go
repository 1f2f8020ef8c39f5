package daemon

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// TestReportSize: whatever is wrong with a table, a report is far smaller than what an etcd takes, and has no part that
// grows with the number of routes.
func TestReportSize(t *testing.T) {
	const name, most = "edge1.example.com", 16 << 10
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := fleet.Report{
		Host: name, Instance: "0123456789abcdef", Place: "0123456789abcdef", Hostname: name, Version: "v1.2.3", Table: fleet.HashOf(nil), Since: now,
		Serial: 1e6, Generation: 1e4, Began: now, Ready: true, Announcing: true, Conns: 1e6, Flows: 1e6,
		Totals: fleet.Totals{Conns: 1e15, Refused: 1e15, Failed: 1e15, Reset: 1e15}, Written: now,
	}
	for _, why := range []string{"", strings.Repeat("route \"a\": line 3: no room\n", 60_000), strings.Repeat("\x01", 1e6)} {
		r.LastError = shortened(why)
		text, err := json.Marshal(r)
		if err != nil || len(text) > most {
			t.Errorf("%d bytes after an error of %d, %v", len(text), len(why), err)
		}
		t.Logf("%d bytes after an error of %d", len(text), len(why))
	}
}
