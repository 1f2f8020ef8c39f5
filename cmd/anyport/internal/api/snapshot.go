package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// Bounds of a snapshot, so that 10,000 routes do not make it megabytes a second.
const (
	routesShown  = 100
	originsShown = 50 // of a route
	textsShown   = 8  // prefixes of a route, and ports
)

// snapshotOf is a status as the page gets it. It may change the lists of s.
func snapshotOf(s admin.Status, now time.Time) admin.Snapshot {
	snapshot := admin.Snapshot{At: now.UnixMilli(), RoutesTotal: len(s.Routes), Totals: totalsOf(s.Routes), Drops: dropsOf(s)}
	if len(s.Routes) > routesShown {
		slices.SortStableFunc(s.Routes, func(a, b admin.RouteStatus) int {
			return cmp.Or(cmp.Compare(originsDown(b), originsDown(a)), cmp.Compare(b.ConnsActive, a.ConnsActive), cmp.Compare(b.ConnsTotal, a.ConnsTotal))
		})
		s.Routes = s.Routes[:routesShown]
	}
	for i := range s.Routes {
		r := &s.Routes[i]
		r.Prefixes, r.Ports = cut(r.Prefixes), cut(r.Ports)
		if len(r.Origins) > originsShown {
			slices.SortStableFunc(r.Origins, func(a, b admin.OriginStatus) int {
				return cmp.Or(compareBool(a.Up, b.Up), cmp.Compare(b.ConnsActive, a.ConnsActive))
			})
			r.Origins = r.Origins[:originsShown]
		}
	}
	s.Doors, s.Resolver, s.Shadow, s.Peers = nil, nil, nil, nil // not on the page, and as long as clients and names make them
	snapshot.Status = s
	return snapshot
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// cut shortens a list, and says by how many.
func cut(all []string) []string {
	if len(all) <= textsShown {
		return all
	}
	return append(slices.Clone(all[:textsShown]), fmt.Sprintf("and %d more", len(all)-textsShown))
}

// originsDown counts the origins of a route that take nothing.
func originsDown(r admin.RouteStatus) (n int) {
	for i := range r.Origins {
		if !r.Origins[i].Up {
			n++
		}
	}
	return n
}

// totalsOf sums up the routes.
func totalsOf(routes []admin.RouteStatus) (t admin.Totals) {
	for i := range routes {
		r := &routes[i]
		t.ConnsActive += r.ConnsActive
		t.ConnsTotal += r.ConnsTotal
		t.BytesToOrigin += r.BytesToOrigin
		t.BytesToClient += r.BytesToClient
	}
	return t
}

// served are the verdicts of what was served, and how that usually ends. All others are drops.
var served = map[string]bool{
	"steer": true, "socket": true, "pass": true, "forwarded": true, "admitted": true, "undecided": true,
	"closed": true, "client_reset": true, "origin_reset": true, "client_timeout": true, "origin_timeout": true,
	"idle_timeout": true, "half_close_timeout": true, "drain_timeout": true, "max_age": true, "hours_over": true, "killed": true,
}

// dropsOf sums up over all routes what was not served, by reason, the most frequent first.
func dropsOf(s admin.Status) []admin.Drop {
	sums := map[admin.Drop]uint64{}
	add := func(where string, verdicts map[string]uint64) {
		for verdict, n := range verdicts {
			if n > 0 && !served[verdict] {
				sums[admin.Drop{Where: where, Reason: verdict}] += n
			}
		}
	}
	count := func(c admin.Counts) {
		for _, verdicts := range c.Ended {
			add("conns", verdicts)
		}
		for _, verdicts := range c.Datagrams {
			add("datagrams", verdicts)
		}
	}
	add("kernel", s.Steering.Unmatched)
	count(s.Unrouted)
	for i := range s.Routes {
		add("kernel", s.Routes[i].Verdicts)
		count(s.Routes[i].Counts)
	}
	drops := make([]admin.Drop, 0, len(sums))
	for _, d := range slices.SortedFunc(maps.Keys(sums), func(a, b admin.Drop) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), cmp.Compare(a.Where, b.Where), cmp.Compare(a.Reason, b.Reason))
	}) {
		d.Count = sums[d]
		drops = append(drops, d)
	}
	return drops
}
