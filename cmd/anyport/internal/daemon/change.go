package daemon

import (
	"cmp"
	"iter"
	"slices"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/proxy/route"
	"anyport/steering/table"
)

// counts are the live conns and flows of a route, and how many of them end. They are from a list that is
// read page by page while conns come and go, so they are about right, not exact.
type counts struct{ active, ending int64 }

// countAffected counts the live conns and flows by route, and which of them next ends.
func countAffected(conns iter.Seq[route.Conn], next *generation) map[string]counts {
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

// forwards reports whether table has a route that would take the conn.
func forwards(table *table.Table, c route.Conn) bool {
	return table.Lookup(c.Protocol, c.Dst) != nil
}

// describeChanges joins what differs in next with the live conns by route.
func describeChanges(old, next *config.Config, conns map[string]counts) admin.Reloaded {
	diff := config.Compare(old, next)
	r := admin.Reloaded{Path: next.Path, Keys: diff.Keys, Routes: []admin.RouteChange{}}
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
			none := config.RouteDiff{Name: name, Change: admin.Unchanged, PrefixesAdded: []string{}, PrefixesRemoved: []string{}, Keys: []config.KeyDiff{}}
			r.Routes = append(r.Routes, routeChange(none, n, drain[name]))
		}
	}
	slices.SortFunc(r.Routes, func(a, b admin.RouteChange) int { return cmp.Compare(a.Name, b.Name) })
	return r
}

// routeChange adds to a difference what it does to live conns.
func routeChange(d config.RouteDiff, n counts, drain float64) admin.RouteChange {
	return admin.RouteChange{RouteDiff: d, ConnsActive: n.active, ConnsEnding: n.ending, DrainSeconds: drain}
}

// dryRun reads the file again, and says what a reload would change. Only a reload itself finds out whether name
// servers answer and whether the kernel has room.
func (d *daemon) dryRun() (admin.Reloaded, error) {
	next, _, err := d.load(reloadOrder{file: true, offer: d.fleet.wanted.Load()}, nil)
	if err != nil {
		return admin.Reloaded{DryRun: true}, err
	}
	if err := d.tryAccess(next.config.Log); err != nil {
		return admin.Reloaded{DryRun: true}, err
	}
	old := d.serving.Load()
	r := d.changes(old, next)
	r.DryRun, r.Generation = true, old.number
	return r, nil
}

// changes says what is different in next, and what that does to live conns.
func (d *daemon) changes(old, next *generation) admin.Reloaded {
	return describeChanges(old.config, next.config, countAffected(d.conns(""), next))
}
