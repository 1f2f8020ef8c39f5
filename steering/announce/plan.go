package announce

import (
	"cmp"
	"net/netip"
	"slices"
)

// Route is a route of a kernel table. The kernel tells routes of one prefix apart by their metric, so another metric
// is another route.
type Route struct {
	Table  int
	Prefix netip.Prefix
	Metric int
}

// routeSet are routes that are, or should be, in the kernel.
type routeSet map[Route]bool

// plan is the changes from the routes there are to those that are wanted. The additions come first, so a prefix whose
// metric changes is never without a route.
func plan(own, wanted routeSet) (add, remove []Route) {
	for r := range wanted {
		if !own[r] {
			add = append(add, r)
		}
	}
	for r := range own {
		if !wanted[r] {
			remove = append(remove, r)
		}
	}
	slices.SortFunc(add, compareRoutes)
	slices.SortFunc(remove, compareRoutes)
	return add, remove
}

// removable returns the removals that leave no wanted prefix without a route, though the additions of missing have
// failed.
func removable(remove, missing []Route) []Route {
	failed := map[netip.Prefix]bool{}
	for _, r := range missing {
		failed[r.Prefix] = true
	}
	return slices.DeleteFunc(remove, func(r Route) bool { return failed[r.Prefix] })
}

func compareRoutes(a, b Route) int {
	return cmp.Or(a.Prefix.Compare(b.Prefix), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Metric, b.Metric))
}

// lost are the routes of own that found does not have.
func lost(own, found routeSet) []Route {
	var all []Route
	for r := range own {
		if !found[r] {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, compareRoutes)
	return all
}
