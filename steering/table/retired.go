package table

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"anyport/config"
)

// LongestDrain returns the longest drain_timeout of the routes that have conns or flows in p.
func (t *Table) LongestDrain(p netip.Prefix) (longest time.Duration) {
	for _, policy := range t.prefixes.Subnets(p) {
		for _, s := range []Segment{policy.TCP, policy.UDP} {
			for r := range t.forwarding(s) {
				longest = max(longest, r.Drain)
			}
		}
	}
	return longest
}

// forwarding yields the routes that forward what s has.
func (t *Table) forwarding(s Segment) iter.Seq[*config.Route] {
	return func(yield func(*config.Route) bool) {
		for _, v := range t.intervals[s.Offset:][:s.Count] {
			if b := t.bindings[v.Binding]; b.Verdict == Steer && b.Route != nil && !yield(b.Route) {
				return
			}
		}
	}
}

// hasFlows reports whether there may be flows in p, also of an earlier table.
func (t *Table) hasFlows(p netip.Prefix) bool {
	if before, ok := t.retired.Get(p); ok {
		return before.UDP.Count > 0
	}
	for _, policy := range t.prefixes.Subnets(p) {
		for range t.forwarding(policy.UDP) {
			return true
		}
	}
	return t == Unknown
}

// WithRetired returns t with these prefixes of the table before, or of one on trial, where t itself has nothing.
func (t *Table) WithRetired(before *Table, gone map[netip.Prefix]time.Time) *Table {
	if len(gone) == 0 {
		return t
	}
	with := *t
	with.retired = t.retired.Clone()
	with.bindings = append(slices.Clip(t.bindings), Binding{Rules: Rules{Verdict: Steer}})
	with.intervals = append(slices.Clip(t.intervals), Interval{First: 0, Binding: uint32(len(t.bindings))})
	steer := Segment{uint32(len(t.intervals)), 1}
	for p := range gone {
		var left Policy // which refuses
		if before.hasFlows(p) {
			left.UDP = steer
		}
		if _, served := t.prefixes.LookupPrefix(p); !served {
			with.retired.Insert(p, left)
		}
	}
	return &with
}

// Unknown stands for the tables of another process.
var Unknown = Empty()
