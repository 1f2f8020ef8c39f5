package table

import (
	"net/netip"
)

// SplitUDP returns a dst whose datagrams one of two tables forwards, and the other one gives to a socket of the host.
// Two such tables cannot serve at the same time: the socket that the flows of dst answer from is bound to it, and
// would receive the datagrams for the host's.
func SplitUDP(a, b *Table) (dst netip.AddrPort, split bool) {
	for _, prefixes := range []*Table{a, b} {
		for p := range prefixes.SortedPrefixes() {
			_, one, here := a.prefixes.LookupPrefixLPM(p)
			_, other, there := b.prefixes.LookupPrefixLPM(p)
			if !here || !there {
				continue
			}
			if port, split := splitPort(a, one.UDP, b, other.UDP); split {
				return netip.AddrPortFrom(p.Addr(), port), true
			}
		}
	}
	return dst, false
}

// splitPort compares the verdicts where an interval of one of the segments begins: between, nothing changes.
func splitPort(a *Table, one Segment, b *Table, other Segment) (uint16, bool) {
	for _, of := range []struct {
		table *Table
		Segment
	}{{a, one}, {b, other}} {
		for _, v := range of.table.intervals[of.Offset:][:of.Count] {
			x, y := a.bound(one, v.First), b.bound(other, v.First)
			if x.Verdict == Steer && y.toHost() || y.Verdict == Steer && x.toHost() {
				return v.First, true
			}
		}
	}
	return 0, false
}

func (b *Binding) toHost() bool { return b.Verdict == Pass || b.Verdict == Socket }
