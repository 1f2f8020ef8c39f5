package text

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
)

func TestReloaded(t *testing.T) {
	var many []string
	for i := range 23 {
		many = append(many, fmt.Sprintf("192.0.2.%d/32", i))
	}
	for _, test := range []struct {
		name string
		of   admin.Reloaded
		want string
	}{
		{"nothing", admin.Reloaded{Path: "a.toml", Generation: 2}, "nothing differs\na.toml is in service: generation 2\n"},
		{"nothing, dry", admin.Reloaded{DryRun: true, Path: "a.toml", Generation: 1}, "nothing differs\na dry run: nothing was changed, generation 1 serves on\n"},
		{"all kinds", admin.Reloaded{
			Path: "a.toml", Generation: 2,
			Keys: []config.KeyDiff{{Key: "log.level", Old: `"info"`, New: `"warn"`}},
			Routes: []admin.RouteChange{
				{RouteDiff: config.RouteDiff{Name: "dns", Change: config.Added, PrefixesAdded: []string{"203.0.113.0/24"}}},
				{RouteDiff: config.RouteDiff{Name: "gone", Change: config.Removed, PrefixesRemoved: []string{"198.51.100.0/24"}}, ConnsActive: 1, ConnsEnding: 1, DrainSeconds: 90},
				{RouteDiff: config.RouteDiff{
					Name: "web", Change: config.Changed, PrefixesAdded: []string{"2001:db8::/48"}, PrefixesRemoved: []string{"192.0.2.0/25"},
					Keys: []config.KeyDiff{{Key: "ports", Old: "[80]", New: "[80, 443]"}},
				}, ConnsActive: 12, DrainSeconds: 30},
				{RouteDiff: config.RouteDiff{Name: "wide", Change: "unchanged"}, ConnsActive: 3, ConnsEnding: 2, DrainSeconds: 30},
			},
		}, `~ log.level: "info" → "warn"
+ route "dns"
    + 203.0.113.0/24
- route "gone", 1 live conn: to be reset after 1m30s
    - 198.51.100.0/24
~ route "web", 12 live conns: as they began
    + 2001:db8::/48
    - 192.0.2.0/25
    ~ ports: [80] → [80, 443]
= route "wide", 3 live conns: as they began, but 2 to be reset after 30s
a.toml is in service: generation 2
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got bytes.Buffer
			Reloaded(&got, &test.of)
			if diff := cmp.Diff(test.want, got.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}

	var got bytes.Buffer
	writePrefixes(&got, "-", many)
	if lines := bytes.Count(got.Bytes(), []byte("\n")); lines != 21 || !bytes.HasSuffix(got.Bytes(), []byte("    - 3 more\n")) {
		t.Errorf("23 prefixes are %d lines:\n%s", lines, &got)
	}
}

func TestDrained(t *testing.T) {
	for _, test := range []struct {
		name string
		of   admin.Drained
		want string
	}{
		{"one", admin.Drained{Draining: true, Conns: map[string]int64{"web": 1}}, "web: takes no new conns, 1 live conn\n"},
		{"undone", admin.Drained{Conns: map[string]int64{"web": 0}}, "web: takes new conns, 0 live conns\n"},
		{"all, by name", admin.Drained{Draining: true, Conns: map[string]int64{"web": 2, "dns": 3, "game": 0}}, "dns: takes no new conns, 3 live conns\ngame: takes no new conns, 0 live conns\nweb: takes no new conns, 2 live conns\n"},
		{"none", admin.Drained{Draining: true}, ""},
	} {
		var got bytes.Buffer
		Drained(&got, &test.of)
		if diff := cmp.Diff(test.want, got.String()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
	}
}

func TestUpgraded(t *testing.T) {
	for _, test := range []struct {
		of   admin.Upgraded
		want string
	}{
		{admin.Upgraded{PID: 8, Binary: "/bin/a", Flows: 1, Conns: 2}, "/bin/a serves as pid 8: 2 conns and 1 flow moved\n"},
		{admin.Upgraded{PID: 8, Binary: "/bin/a", Conns: 1}, "/bin/a serves as pid 8: 1 conn and 0 flows moved\n"},
		{admin.Upgraded{PID: 8, Binary: "/bin/a", Left: 1}, "/bin/a serves as pid 8: 0 conns and 0 flows moved\n1 conn did not, and end with the old process, or when drain_timeout cuts them\n"},
	} {
		var got bytes.Buffer
		Upgraded(&got, &test.of)
		if diff := cmp.Diff(test.want, got.String()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}
