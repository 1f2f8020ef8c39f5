package host

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// RouteChange is a prefix that becomes local, or ceases to be.
type RouteChange struct {
	add    bool
	prefix netip.Prefix
}

// RoutePlan is the changes from one table's local routes to the next: those to make
// before the new table is in service, and those after. So no address is ever local
// that is not steered, and none that both tables serve ceases to be local.
type RoutePlan struct{ Before, After []RouteChange }

// newRoutePlan returns the changes from old to wanted.
func newRoutePlan(old, wanted *bart.Lite) RoutePlan {
	var p RoutePlan
	for prefix := range wanted.All() {
		switch {
		case old.Get(prefix):
		case old.LookupPrefix(prefix): // inside what the old table steers
			p.Before = append(p.Before, RouteChange{true, prefix})
		default:
			p.After = append(p.After, RouteChange{true, prefix})
		}
	}
	for prefix := range old.All() {
		switch {
		case wanted.Get(prefix):
		case wanted.LookupPrefix(prefix): // inside what the new table steers
			p.After = append(p.After, RouteChange{false, prefix})
		default:
			p.Before = append(p.Before, RouteChange{false, prefix})
		}
	}
	return p
}

// Inverse returns the changes that undo changes.
func Inverse(changes []RouteChange) []RouteChange {
	undo := slices.Clone(changes)
	slices.Reverse(undo)
	for i := range undo {
		undo[i].add = !undo[i].add
	}
	return undo
}
