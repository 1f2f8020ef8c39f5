package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"anyport/bpf/mark"
	"anyport/config"
	"anyport/steering/host"
)

// checkTransparent asks whether what origins send to clients of transparent routes is delivered to this
// host. That the origins send it here cannot be seen from here.
func checkTransparent(f *Facts) []Finding {
	if len(f.Returns) == 0 {
		if !slices.ContainsFunc(f.config().Routes, func(r *config.Route) bool { return r.Transparent }) {
			return ok("no route is transparent")
		}
		return ok("the origins have only names: their way back was not examined")
	}
	findings := append(checkWaysOut(f), checkMarkedSources(f)...)
	if f.Running != nil {
		findings = append(findings, each(f.unreturned(), func(w host.ReturnWay) []Finding {
			return fail(fmt.Sprintf("ip%s rule; sysctl -a --pattern 'conf.(all|%s).(rp_filter|src_valid_mark|accept_local)'", v6Flag(w.Origin), w.Interface),
				"clients of transparent routes get no answer from that origin",
				"what %s sends to a client, arriving on %s, is not delivered to this host: %s", w.Origin, w.Interface, w.Refused)
		})...)
	}
	return orOK(findings, "what comes back from %s is delivered to this host; see to it that the origins send it here", strings.Join(f.returnsFrom(), ", "))
}

// checkWaysOut finds origins that no route leads to.
func checkWaysOut(f *Facts) []Finding {
	return each(slices.DeleteFunc(slices.Clone(f.Returns), func(w host.ReturnWay) bool { return w.Interface != "" }), func(w host.ReturnWay) []Finding {
		return warn(fmt.Sprintf("ip route get %s", w.Origin), "it cannot be dialled, so its way back was not examined", "no route leads to %s", w.Origin)
	})
}

// checkMarkedSources finds interfaces where the kernel looks for the way to an origin with the mark of
// the packet, finds that everything is local, and drops the packet as forged (__fib_validate_source).
// Of all and the interface, either switches it on.
func checkMarkedSources(f *Facts) []Finding {
	return each(slices.DeleteFunc(slices.Clone(f.Links), func(l Link) bool {
		return !l.ValidatesMark || !slices.ContainsFunc(f.Returns, func(w host.ReturnWay) bool { return w.Interface == l.Name && w.Origin.Is4() })
	}), func(l Link) []Finding {
		return fail(fmt.Sprintf("sysctl -w net/ipv4/conf/%s/accept_local=1", l.Name),
			fmt.Sprintf("the kernel drops packets with the mark %#x there, and so all that IPv4 origins send to clients of transparent routes", mark.Packet),
			"src_valid_mark is on for %s, and accept_local is off", l.Name)
	})
}

// unreturned are the origins whose packets are not delivered here, those without a route to them left out.
func (f *Facts) unreturned() []host.ReturnWay {
	return slices.DeleteFunc(slices.Clone(f.Returns), func(w host.ReturnWay) bool { return w.Interface == "" || w.Refused == "" })
}

// returnsFrom are the origins and the interfaces to them.
func (f *Facts) returnsFrom() (all []string) {
	for _, w := range f.Returns {
		all = append(all, fmt.Sprintf("%s on %s", w.Origin, w.Interface))
	}
	return all
}

func v6Flag(a netip.Addr) string {
	if a.Is6() {
		return " -6"
	}
	return ""
}
