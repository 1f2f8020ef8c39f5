package steering

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// change is a prefix that becomes local, or ceases to be.
type change struct {
	add    bool
	prefix netip.Prefix
}

// plan is the changes from one table's local routes to another's: those to make
// before the new table is in service, and those after. So no address is ever local
// that is not steered, and none that both tables serve ceases to be local.
type plan struct{ before, after []change }

// newPlan returns the changes from old to wanted.
func newPlan(old, wanted *bart.Lite) plan {
	var p plan
	for prefix := range wanted.All() {
		switch {
		case old.Get(prefix):
		case old.LookupPrefix(prefix): // inside what the old table steers
			p.before = append(p.before, change{true, prefix})
		default:
			p.after = append(p.after, change{true, prefix})
		}
	}
	for prefix := range old.All() {
		switch {
		case wanted.Get(prefix):
		case wanted.LookupPrefix(prefix): // inside what the new table steers
			p.after = append(p.after, change{false, prefix})
		default:
			p.before = append(p.before, change{false, prefix})
		}
	}
	return p
}

// inverse returns the changes that undo changes.
func inverse(changes []change) []change {
	undo := slices.Clone(changes)
	slices.Reverse(undo)
	for i := range undo {
		undo[i].add = !undo[i].add
	}
	return undo
}
