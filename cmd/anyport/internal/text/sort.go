package text

import (
	"cmp"
	"slices"
)

// Orders are the words by which routes and origins are sorted, the largest first; name is the first in the
// alphabet first.
var Orders = []string{"name", "live", "new", "bytes", "errors"}

// order compares what two routes or origins have in common.
func order(by string, nameA, nameB string, liveA, liveB int64, a, b Rates, errorsA, errorsB uint64) int {
	switch by {
	case "name":
		return cmp.Compare(nameA, nameB)
	case "live":
		return cmp.Compare(liveB, liveA)
	case "new":
		return cmp.Compare(b.New, a.New)
	case "bytes":
		return cmp.Compare(b.bytes(), a.bytes())
	case "errors":
		return cmp.Or(cmp.Compare(b.Failing, a.Failing), cmp.Compare(errorsB, errorsA))
	}
	return 0
}

// SortRoutes sorts by one of Orders; "" leaves the order of the file.
func SortRoutes(routes []RatedRoute, by string) {
	slices.SortStableFunc(routes, func(a, b RatedRoute) int {
		return order(by, a.Name, b.Name, a.ConnsActive, b.ConnsActive, a.Rates, b.Rates, a.Errors, b.Errors)
	})
}

// SortOrigins is the same for origins.
func SortOrigins(origins []RatedOrigin, by string) {
	slices.SortStableFunc(origins, func(a, b RatedOrigin) int {
		return order(by, a.Address, b.Address, a.ConnsActive, b.ConnsActive, a.Rates, b.Rates, a.Errors, b.Errors)
	})
}
