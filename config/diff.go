package config

import (
	"cmp"
	"fmt"
	"slices"
)

// Diff is what changes from one config to another. Its JSON is part of the admin API and of
// reload --json.
type Diff struct {
	Keys   []KeyDiff   `json:"keys"`   // outside the routes, as "listen.workers"
	Routes []RouteDiff `json:"routes"` // by name
}

// RouteDiff is one route that differs.
type RouteDiff struct {
	Name            string    `json:"name"`
	Change          Change    `json:"change"`
	PrefixesAdded   []string  `json:"prefixes_added"`
	PrefixesRemoved []string  `json:"prefixes_removed"`
	Keys            []KeyDiff `json:"keys"` // of a changed route, prefixes left out
}

// Change is what becomes of a route.
type Change string

// The changes.
const (
	Added   Change = "added"
	Removed Change = "removed"
	Changed Change = "changed"
)

// KeyDiff is one key that differs, its values as a file would write them.
type KeyDiff struct {
	Key string `json:"key"`
	Old string `json:"old"`
	New string `json:"new"`
}

// Empty reports whether nothing differs.
func (d Diff) Empty() bool { return len(d.Keys) == 0 && len(d.Routes) == 0 }

// Compare returns what differs in next, whatever lines it stands on. The lists are
// never nil.
func Compare(old, next *Config) Diff {
	d := Diff{Keys: compareKeys(fileKeys, old, next), Routes: []RouteDiff{}}
	before, after := byName(old.Routes), byName(next.Routes)
	for _, r := range next.Routes {
		if changed := compareRoutes(before[r.Name], r); changed != nil {
			d.Routes = append(d.Routes, *changed)
		}
	}
	for _, r := range old.Routes {
		if after[r.Name] == nil {
			d.Routes = append(d.Routes, *compareRoutes(r, nil))
		}
	}
	slices.SortFunc(d.Routes, func(a, b RouteDiff) int { return cmp.Compare(a.Name, b.Name) })
	return d
}

// compareRoutes returns nil where nothing differs. One of the two may be nil.
func compareRoutes(old, next *Route) *RouteDiff {
	switch {
	case old == nil:
		return &RouteDiff{Name: next.Name, Change: Added, PrefixesAdded: texts(next.Prefixes), PrefixesRemoved: []string{}, Keys: []KeyDiff{}}
	case next == nil:
		return &RouteDiff{Name: old.Name, Change: Removed, PrefixesAdded: []string{}, PrefixesRemoved: texts(old.Prefixes), Keys: []KeyDiff{}}
	}
	d := &RouteDiff{
		Name: next.Name, Change: Changed,
		PrefixesAdded:   missingIn(old.Prefixes, next.Prefixes),
		PrefixesRemoved: missingIn(next.Prefixes, old.Prefixes),
		Keys:            compareKeys(comparedKeys, old, next),
	}
	if len(d.PrefixesAdded)+len(d.PrefixesRemoved)+len(d.Keys) == 0 {
		return nil
	}
	return d
}

// comparedKeys are the keys of a route except its prefixes, which a diff lists one by one.
var comparedKeys = slices.DeleteFunc(slices.Clone(routeSection.keys), func(k key[Route]) bool { return k.name == "prefixes" })

// compareKeys compares values by how a file writes them, which is also what the diff shows.
func compareKeys[S any](keys []key[S], old, next *S) []KeyDiff {
	diffs := []KeyDiff{}
	for _, k := range keys {
		if before, after := k.print(old), k.print(next); before != after {
			diffs = append(diffs, KeyDiff{Key: k.name, Old: before, New: after})
		}
	}
	return diffs
}

// byName relies on unique names: TOML refuses a table that is opened twice.
func byName(routes []*Route) map[string]*Route {
	named := make(map[string]*Route, len(routes))
	for _, r := range routes {
		named[r.Name] = r
	}
	return named
}

// missingIn returns those of all that has lacks.
func missingIn[T interface {
	comparable
	fmt.Stringer
}](has, all []T) []string {
	held := make(map[T]bool, len(has))
	for _, v := range has {
		held[v] = true
	}
	missing := []string{}
	for _, v := range all {
		if !held[v] {
			missing = append(missing, v.String())
		}
	}
	return missing
}

// texts is never nil: JSON has [] and not null.
func texts[T fmt.Stringer](all []T) []string {
	list := []string{}
	for _, v := range all {
		list = append(list, v.String())
	}
	return list
}
