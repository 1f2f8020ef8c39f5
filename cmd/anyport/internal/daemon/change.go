package daemon

import (
	"cmp"
	"iter"
	"slices"

	"anyport/config"
	"anyport/proxy/route"
	"anyport/steering/table"
)

// Reloaded is what a reload has changed, or would.
type Reloaded struct {
	DryRun     bool             `json:"dry_run"`
	Path       string           `json:"path"`
	Generation int              `json:"generation"` // in service now
	Keys       []config.KeyDiff `json:"keys"`       // outside the routes
	Routes     []RouteChange    `json:"routes"`
}

// RouteChange is a route that differs, or whose conns are touched by another one's
// difference. Live conns and flows stay with the settings that they began with. Those
// whose route is removed, and those whose dst no route forwards any more, have their
// route's drain_timeout left, and are reset then.
type RouteChange struct {
	config.RouteDiff
	ConnsActive  int64   `json:"conns_active"`
	ConnsEnding  int64   `json:"conns_ending"` // of these
	DrainSeconds float64 `json:"drain_seconds"`
}

// unchanged is a route that loses dsts to another one's change.
const unchanged config.Change = "unchanged"

// counts are the live conns and flows of a route, and how many of them are to end.
type counts struct{ active, ending int64 }

// touched counts what next does to the live conns and flows, by route.
func touched(conns iter.Seq[route.Conn], next *generation) map[string]counts {
	serving := next.routeNames()
	all := map[string]counts{}
	for c := range conns {
		n := all[c.Route]
		n.active++
		if !serving[c.Route] || !forwards(next.table, c) {
			n.ending++
		}
		all[c.Route] = n
	}
	return all
}

// forwards reports whether a conn could begin by table.
func forwards(table *table.Table, c route.Conn) bool {
	return table.Lookup(c.Protocol, c.Dst) != nil
}

// change joins what differs in next with the live conns by route.
func change(old, next *config.Config, conns map[string]counts) Reloaded {
	diff := config.Compare(old, next)
	r := Reloaded{Path: next.Path, Keys: diff.Keys, Routes: []RouteChange{}}
	drain := map[string]float64{}
	for _, route := range old.Routes {
		drain[route.Name] = route.Drain.Seconds()
	}
	differs := map[string]bool{}
	for _, d := range diff.Routes {
		differs[d.Name] = true
		r.Routes = append(r.Routes, routeChange(d, conns[d.Name], drain[d.Name]))
	}
	for name, n := range conns {
		if _, served := drain[name]; served && n.ending > 0 && !differs[name] {
			none := config.RouteDiff{Name: name, Change: unchanged, PrefixesAdded: []string{}, PrefixesRemoved: []string{}, Keys: []config.KeyDiff{}}
			r.Routes = append(r.Routes, routeChange(none, n, drain[name]))
		}
	}
	slices.SortFunc(r.Routes, func(a, b RouteChange) int { return cmp.Compare(a.Name, b.Name) })
	return r
}

func routeChange(d config.RouteDiff, n counts, drain float64) RouteChange {
	return RouteChange{RouteDiff: d, ConnsActive: n.active, ConnsEnding: n.ending, DrainSeconds: drain}
}

// names returns the routes that have changed in this way.
func (r Reloaded) names(change config.Change) []string {
	var names []string
	for _, c := range r.Routes {
		if c.Change == change {
			names = append(names, c.Name)
		}
	}
	return names
}
