package daemon

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
)

func TestChange(t *testing.T) {
	const (
		dns  = "[route.dns]\nprotocol = \"udp\"\nprefixes = [\"203.0.113.7\"]\naction = \"refuse\"\n"
		gone = "[route.gone]\nprotocol = \"udp\"\nprefixes = [\"203.0.113.8\"]\naction = \"refuse\"\ndrain_timeout = \"90s\"\n"
		idle = "[defaults]\nidle_timeout = \"1m\"\n"
	)
	got := change(parse(t, gone), parse(t, idle+dns), map[string]int64{"web": 3, "gone": 5, "other": 9})
	want := Reloaded{
		Path: "anyport.toml",
		Keys: []config.KeyDiff{},
		Routes: []RouteChange{
			{RouteDiff: config.RouteDiff{Name: "dns", Change: config.Added, PrefixesAdded: []string{"203.0.113.7/32"}, PrefixesRemoved: []string{}, Keys: []config.KeyDiff{}}},
			{RouteDiff: config.RouteDiff{Name: "gone", Change: config.Removed, PrefixesAdded: []string{}, PrefixesRemoved: []string{"203.0.113.8/32"}, Keys: []config.KeyDiff{}}, ConnsActive: 5, DrainSeconds: 90},
			{RouteDiff: config.RouteDiff{Name: "web", Change: config.Changed, PrefixesAdded: []string{}, PrefixesRemoved: []string{}, Keys: []config.KeyDiff{{Key: "idle_timeout", Old: `"1h0m0s"`, New: `"1m0s"`}}}, ConnsActive: 3},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if names := got.names(config.Removed); len(names) != 1 || names[0] != "gone" {
		t.Errorf("removed are %v", names)
	}
}
