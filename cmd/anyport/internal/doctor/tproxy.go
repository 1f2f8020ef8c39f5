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
		if f.Config == nil || f.takes(r) {
			winners = append(winners, r)
		}
	}
	findings := each(winners, func(r Rule) []Finding {
		if r.Diverted != "" {
			return warn(r.Delete+"   # when the proxy behind it is no longer needed",
				"from the start of anyport on, the proxy behind it gets no new conn for a served address: the socket match asks the steering",
				"a TPROXY rule would lose: %s, since this accepts its packets first: %s", r.Text, r.Diverted)
		}
		return warn(r.Delete, "its packets carry a socket already, so they never come to the steering", "a TPROXY rule would win: %s", r.Text)
	})
	return orOK(findings, "no TPROXY rule for a served address (%s)", strings.Join(f.Tools, ", "))
}

// takes reports whether r may match a packet for a served address.
func (f *Facts) takes(r Rule) bool {
	return len(r.Dst) == 0 || slices.ContainsFunc(f.prefixes(), func(p netip.Prefix) bool {
		return slices.ContainsFunc(r.Dst, p.Overlaps)
	})
}
