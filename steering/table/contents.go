package table

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"anyport/config"
)

// Prefixes is the number of distinct prefixes served.
func (t *Table) Prefixes() int { return t.prefixes.Size() }

// MayDrop reports whether any packet may have to be dropped in silence.
func (t *Table) MayDrop() bool {
	return slices.ContainsFunc(t.bindings, func(b Binding) bool { return b.mayDrop() })
}

// Outermost returns the prefixes of table that need a route: not those inside
// another prefix of the table, nor those that others keep local already.
func (t *Table) Outermost(others *bart.Lite) *bart.Lite {
	all := new(bart.Lite)
	for prefix := range t.prefixes.AllSorted() { // each after those that cover it
		if !all.LookupPrefix(prefix) && !others.LookupPrefix(prefix) {
			all.Insert(prefix)
		}
	}
	return all
}

// BindingName names the route of a binding.
func (t *Table) BindingName(i uint32) string {
	if int(i) >= len(t.bindings) {
		return "no route"
	}
	if r := t.bindings[i].Route; r != nil {
		return fmt.Sprintf("route %q", r.Name)
	}
	return "what no route takes"
}

// Routes returns the routes of the file, in its order.
func (t *Table) Routes() []*config.Route {
	all := make([]*config.Route, t.routeCount)
	for i := range all {
		all[i] = t.bindings[1+i].Route
	}
	return all
}

// SortedPrefixes yields the prefixes of the routes, each after those that cover it.
func (t *Table) SortedPrefixes() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for p := range t.prefixes.AllSorted() {
			if !yield(p) {
				return
			}
		}
	}
}

// Serves reports whether p itself is a prefix of a route.
func (t *Table) Serves(p netip.Prefix) bool { _, ok := t.prefixes.Get(p); return ok }

// Overlaps reports whether a prefix of a route has addresses in common with p.
func (t *Table) Overlaps(p netip.Prefix) bool { return t.prefixes.OverlapsPrefix(p) }

// Sizes is the number of prefixes of each family.
func (t *Table) Sizes() (v4, v6 int) { return t.prefixes.Size4(), t.prefixes.Size6() }

// AllV4 yields the IPv4 prefixes of the routes, and the retired ones.
func (t *Table) AllV4() iter.Seq2[netip.Prefix, Policy] {
	return both(t.prefixes.All4(), t.retired.All4())
}

// AllV6 does so for IPv6.
func (t *Table) AllV6() iter.Seq2[netip.Prefix, Policy] {
	return both(t.prefixes.All6(), t.retired.All6())
}

// both yields the prefixes in service, and the retired ones.
func both(all, gone iter.Seq2[netip.Prefix, Policy]) iter.Seq2[netip.Prefix, Policy] {
	return func(yield func(netip.Prefix, Policy) bool) {
		for p, v := range all {
			if !yield(p, v) {
				return
			}
		}
		gone(yield)
	}
}

// Bindings returns what the indices in [Interval] refer to. They are not to be changed.
func (t *Table) Bindings() []Binding { return t.bindings }

// Intervals returns the segments of all policies, end to end. They are not to be changed.
func (t *Table) Intervals() []Interval { return t.intervals }
