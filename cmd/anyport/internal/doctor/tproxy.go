package doctor

import (
	"net/netip"
	"slices"
	"strings"
)

// checkTProxy finds the rules that win: sk_lookup does not run for a packet that has a socket already.
// Such a rule loses if a rule before it accepts packets for which there is a socket, as most set-ups do
// for established conns: that lookup runs sk_lookup.
func checkTProxy(f *Facts) []Finding {
	if len(f.Tools) == 0 {
		return warn("apt-get install nftables", "a TPROXY rule for a served address would win over the steering",
			"not examined: neither nft nor iptables-save is installed")
	}
	var winners []Rule
	for _, r := range f.TProxy {
		if f.Config == nil || len(f.taken(r)) > 0 {
			winners = append(winners, r)
		}
	}
	findings := each(winners, func(r Rule) []Finding {
		if r.Diverted != "" {
			return warn(f.mend(r)+"   # when the proxy behind it is no longer needed",
				"from the start of anyport on, the proxy behind it gets no new conn for a served address: the socket match asks the steering",
				"a TPROXY rule would lose: %s, since this accepts its packets first: %s", r.Text, r.Diverted)
		}
		return warn(f.mend(r), "its packets carry a socket already, so they never come to the steering", "a TPROXY rule would win: %s", r.Text)
	})
	return orOK(findings, "no TPROXY rule for a served address (%s)", strings.Join(f.Tools, ", "))
}

// taken returns the served prefixes that r may match packets for.
func (f *Facts) taken(r Rule) []netip.Prefix {
	return slices.DeleteFunc(f.prefixes(), func(p netip.Prefix) bool { return !r.takes(p) })
}

// takes reports whether r may match a packet for p: rules before it do not accept all of them.
func (r Rule) takes(p netip.Prefix) bool {
	if r.Family != "" && (r.Family == "ip") != p.Addr().Is4() {
		return false
	}
	dst := r.Dst
	if len(dst) == 0 {
		dst = []netip.Prefix{p}
	}
	return slices.ContainsFunc(dst, func(d netip.Prefix) bool {
		both, overlap := narrower(p, d)
		return overlap && !holdsAll(r.Spared, []netip.Prefix{both})
	})
}

// holdsAll reports whether each prefix lies inside one of all.
func holdsAll(all, prefixes []netip.Prefix) bool {
	return !slices.ContainsFunc(prefixes, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(all, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) })
	})
}

// mend is the commands that keep served packets from r: a rule that also takes other dsts stays, with
// exceptions before it.
func (f *Facts) mend(r Rule) string {
	if f.Config == nil || r.Spare == "" || len(r.Dst) > 0 && holdsAll(f.prefixes(), r.Dst) {
		return r.Delete
	}
	var lines []string
	taken := f.taken(r)
	for _, p := range taken[:min(len(taken), most)] {
		lines = append(lines, spareFor(r.Spare, p))
	}
	return strings.Join(lines, "\n")
}
