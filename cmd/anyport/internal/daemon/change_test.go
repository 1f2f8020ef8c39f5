package daemon

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/proxy/route"
	"anyport/steering/table"
)

func TestDescribeChanges(t *testing.T) {
	const (
		dns  = "[route.dns]\nprotocol = \"udp\"\nprefixes = [\"203.0.113.7\"]\naction = \"refuse\"\n"
		gone = "[route.gone]\nprotocol = \"udp\"\nprefixes = [\"203.0.113.8\"]\naction = \"refuse\"\ndrain_timeout = \"90s\"\n"
		idle = "[defaults]\nidle_timeout = \"1m\"\n"
	)
	got := describeChanges(parse(t, gone), parse(t, idle+dns), map[string]counts{"web": {3, 1}, "gone": {5, 5}, "left-long-ago": {9, 9}})
	want := admin.Reloaded{
		Path: "anyport.toml",
		Keys: []config.KeyDiff{},
		Routes: []admin.RouteChange{
			{RouteDiff: config.RouteDiff{Name: "dns", Change: config.Added, PrefixesAdded: []string{"203.0.113.7/32"}, PrefixesRemoved: []string{}, Keys: []config.KeyDiff{}}},
			{RouteDiff: config.RouteDiff{Name: "gone", Change: config.Removed, PrefixesAdded: []string{}, PrefixesRemoved: []string{"203.0.113.8/32"}, Keys: []config.KeyDiff{}}, ConnsActive: 5, ConnsEnding: 5, DrainSeconds: 90},
			{RouteDiff: config.RouteDiff{Name: "web", Change: config.Changed, PrefixesAdded: []string{}, PrefixesRemoved: []string{}, Keys: []config.KeyDiff{{Key: "idle_timeout", Old: `"1h0m0s"`, New: `"1m0s"`}}}, ConnsActive: 3, ConnsEnding: 1, DrainSeconds: 30},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if names := got.Named(config.Removed); len(names) != 1 || names[0] != "gone" {
		t.Errorf("removed are %v", names)
	}
}

// TestCountAffected: a conn ends with its route, or with the last route that forwards its dst.
func TestCountAffected(t *testing.T) {
	const ssh = "[route.ssh]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\nports = [22]\naction = \"pass\"\n"
	old, next := parse(t, ""), parse(t, ssh)
	table, err := table.Compile(next)
	if err != nil {
		t.Fatal(err)
	}
	conns := []route.Conn{
		{Route: "web", Protocol: config.TCP, Dst: netip.MustParseAddrPort("192.0.2.1:80")},
		{Route: "web", Protocol: config.TCP, Dst: netip.MustParseAddrPort("192.0.2.1:22")},
		{Route: "web", Protocol: config.TCP, Dst: netip.MustParseAddrPort("203.0.113.1:80")},
		{Route: "gone", Protocol: config.TCP, Dst: netip.MustParseAddrPort("192.0.2.1:80")},
	}
	got := countAffected(slices.Values(conns), &generation{config: next, table: table})
	if want := map[string]counts{"web": {3, 2}, "gone": {1, 1}}; !maps.Equal(got, want) {
		t.Errorf("touched %v, want %v", got, want)
	}
	for _, c := range describeChanges(old, next, got).Routes {
		if c.Name == "web" && (c.Change != admin.Unchanged || c.ConnsEnding != 2 || c.DrainSeconds != 30) || c.Name == "gone" {
			t.Errorf("%+v", c)
		}
	}
}
