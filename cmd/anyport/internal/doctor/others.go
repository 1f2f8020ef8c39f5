package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"anyport/steering/host"
	"anyport/steering/table"
)

// checkListeners finds the sockets of other processes that would get nothing more.
func checkListeners(f *Facts) []Finding {
	if f.Config == nil {
		return ok("no file, no ports to take")
	}
	found, why := fail, "anyport refuses to take another process's port; or let it, with shadow_listeners = true in [steering]"
	if f.Config.Steering.ShadowListeners {
		found, why = warn, "nobody reaches it any more, as steering.shadow_listeners says"
	}
	findings := each(f.Listeners, func(s host.Shadow) []Finding {
		return found(fmt.Sprintf("# add to %s:\n%s", f.Path, keep(s)), why,
			"%s listens on %v %s, which %s takes", s.Owner(), s.Protocol, s.Addr, taker(s.By))
	})
	return orOK(findings, "no listener and no unconnected UDP socket is in the way")
}

// keep is the route that leaves a listener its port.
func keep(s host.Shadow) string {
	var prefixes []string
	for _, addr := range s.Taken {
		prefixes = append(prefixes, fmt.Sprintf("%q", addr))
	}
	port := s.Addr.Port()
	return fmt.Sprintf("[route.keep-%v-%d]\nprotocol = %q\nprefixes = [%s]\nports = [%d]\naction = \"pass\"",
		s.Protocol, port, s.Protocol, strings.Join(prefixes, ", "), port)
}

func taker(d table.Decision) string {
	if d.Route == nil {
		return fmt.Sprintf("unmatched = %q", d.Verdict)
	}
	return fmt.Sprintf("route %q", d.Route.Name)
}

// checkTProxy finds the rules whose sockets win: sk_lookup does not run for a packet that
// has one already. They lose where a rule before them accepts packets for which there is a
// socket, as most set-ups do for conns that are established: that lookup runs sk_lookup.
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

// known stands in for what could not be read.
func known(text string) string { return cmp.Or(text, "name unknown") }
