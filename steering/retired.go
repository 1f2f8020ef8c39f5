package steering

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"anyport/config"

	"github.com/gaissmai/bart"
)

// drain returns the longest drain_timeout of the routes that have conns or flows in p.
func (t *Table) drain(p netip.Prefix) (longest time.Duration) {
	for _, policy := range t.prefixes.Subnets(p) {
		for _, s := range []segment{policy.tcp, policy.udp} {
			for r := range t.forwarding(s) {
				longest = max(longest, r.Drain)
			}
		}
	}
	return longest
}

// forwarding yields the routes that forward what s has.
func (t *Table) forwarding(s segment) iter.Seq[*config.Route] {
	return func(yield func(*config.Route) bool) {
		for _, v := range t.intervals[s.offset:][:s.count] {
			if b := t.bindings[v.binding]; b.verdict == Steer && b.route != nil && !yield(b.route) {
				return
			}
		}
	}
}

// hasFlows reports whether there may be flows in p, also of an earlier table.
func (t *Table) hasFlows(p netip.Prefix) bool {
	if gone, lingers := t.gone.Get(p); lingers {
		return gone.udp.count > 0
	}
	for _, policy := range t.prefixes.Subnets(p) {
		for range t.forwarding(policy.udp) {
			return true
		}
	}
	return t == unknown
}

// lingering returns t with these prefixes of the table before, where t itself has nothing.
func (t *Table) lingering(before *Table, gone map[netip.Prefix]time.Time) *Table {
	if len(gone) == 0 {
		return t
	}
	with := *t
	with.gone = new(bart.Table[policy])
	with.bindings = append(slices.Clip(t.bindings), binding{terms: terms{verdict: Steer}})
	with.intervals = append(slices.Clip(t.intervals), interval{lo: 0, binding: uint32(len(t.bindings))})
	steer := segment{uint32(len(t.intervals)), 1}
	for p := range gone {
		var left policy // which refuses
		if before.hasFlows(p) {
			left.udp = steer
		}
		if _, served := t.prefixes.LookupPrefix(p); !served {
			with.gone.Insert(p, left)
		}
	}
	return &with
}

// unknown stands for the tables of another process.
var unknown = newTable()
