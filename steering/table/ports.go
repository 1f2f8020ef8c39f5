package table

import (
	"net/netip"

	"anyport/config"
)

// PortRun is neighbouring ports of a prefix that are bound to the same.
type PortRun struct {
	Ports   config.PortRange
	Verdict Verdict       // for a client that every route admits
	Route   *config.Route // nil: no route takes them
}

// PortRuns says what becomes of every port of the longest prefix that holds addr, over one protocol: a few runs
// from port 0 to 65535. ok is false if no prefix holds it.
func (t *Table) PortRuns(protocol config.Protocol, addr netip.Addr) (prefix netip.Prefix, runs []PortRun, ok bool) {
	addr = addr.Unmap()
	prefix, policy, ok := t.prefixes.LookupPrefixLPM(netip.PrefixFrom(addr, addr.BitLen()))
	if !ok {
		return prefix, nil, false
	}
	segment := policy.TCP
	if protocol == config.UDP {
		segment = policy.UDP
	}
	intervals := t.intervals[segment.Offset : segment.Offset+segment.Count]
	if len(intervals) == 0 { // as bound judges it
		return prefix, []PortRun{{config.PortRange{Last: 65535}, Refuse, nil}}, true
	}
	for i, v := range intervals {
		last := uint16(65535)
		if i+1 < len(intervals) {
			last = intervals[i+1].First - 1
		}
		runs = appendRun(runs, PortRun{config.PortRange{First: v.First, Last: last}, t.bindings[v.Binding].Verdict, t.bindings[v.Binding].Route})
	}
	return prefix, runs, true
}

// appendRun adds a run, or makes the last one longer if it is bound to the same.
func appendRun(runs []PortRun, run PortRun) []PortRun {
	if n := len(runs); n > 0 && runs[n-1].Verdict == run.Verdict && runs[n-1].Route == run.Route {
		runs[n-1].Ports.Last = run.Ports.Last
		return runs
	}
	return append(runs, run)
}

// Served returns the first n of the prefixes served, in order.
func (t *Table) Served(n int) (first []netip.Prefix) {
	for p := range t.prefixes.AllSorted() {
		if len(first) == n {
			break
		}
		first = append(first, p)
	}
	return first
}

// Holder returns the longest prefix served that holds addr, the zero prefix if none does.
func (t *Table) Holder(addr netip.Addr) netip.Prefix { return t.served(addr) }
