package proxyconf

import (
	"net/netip"
	"slices"

	"anyport/config"
)

// box is some dsts: the addresses of a prefix, on ports.
type box struct {
	prefix netip.Prefix
	ports  []config.PortRange
}

// region is what a listen takes. Choices take parts of it, the first one first. It only remembers what
// was taken: a prefix with a hole would be up to 32 prefixes, or 128 of IPv6.
type region struct {
	box
	taken []box
}

// take returns the dsts that a choice gets. anyport has the longest prefix win where the choices have
// the first one win. The two differ only where an earlier choice has a prefix as short or shorter:
// there its ports are taken out. An earlier choice with a longer prefix wins in both.
func (r *region) take(c Choice) []box {
	to := c.To
	if len(to) == 0 {
		to = []netip.Prefix{r.prefix}
	}
	var got []box
	for _, prefix := range to {
		prefix, ok := Narrower(prefix, r.prefix)
		ports := r.ports
		if len(c.Ports) > 0 {
			ports = overlap(ports, c.Ports)
		}
		for _, t := range r.taken {
			if covers(t.prefix, prefix) {
				ports = without(ports, t.ports)
			}
		}
		if ok && len(ports) > 0 {
			got = append(got, box{prefix, ports})
			r.taken = append(r.taken, box{prefix, ports})
		}
	}
	return got
}

// Narrower is what two prefixes have in common: the longer one, or nothing.
func Narrower(a, b netip.Prefix) (netip.Prefix, bool) {
	if a.Bits() < b.Bits() {
		a, b = b, a
	}
	return a, a.Overlaps(b)
}

// covers reports whether all addresses of b are of a.
func covers(a, b netip.Prefix) bool { return a.Bits() <= b.Bits() && a.Overlaps(b) }

// overlap is the ports that are in both lists.
func overlap(a, b []config.PortRange) []config.PortRange {
	var both []config.PortRange
	for _, x := range a {
		for _, y := range b {
			if r := (config.PortRange{First: max(x.First, y.First), Last: min(x.Last, y.Last)}); r.First <= r.Last {
				both = append(both, r)
			}
		}
	}
	return joined(both)
}

// without is the ports of a list that are not in the other.
func without(ports, except []config.PortRange) []config.PortRange {
	var left []config.PortRange
	for _, r := range ports {
		left = append(left, r.Without(except)...)
	}
	return joined(left)
}

// joined sorts ranges, and makes one of those that overlap or touch.
func joined(ranges []config.PortRange) []config.PortRange {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b config.PortRange) int { return int(a.First) - int(b.First) })
	var out []config.PortRange
	for _, r := range ranges {
		if last := len(out) - 1; last >= 0 && int(r.First) <= int(out[last].Last)+1 {
			out[last].Last = max(out[last].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}
