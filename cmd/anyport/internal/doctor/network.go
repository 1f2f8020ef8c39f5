package doctor

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"

	"anyport/cmd/anyport/internal/text"
	"anyport/config"
	"anyport/steering/host"
)

// checkIPv6 wants IPv6 switched on if the file has IPv6 prefixes. The sysctl of "lo" counts too: the
// local routes go through it.
func checkIPv6(f *Facts) []Finding {
	needed := f.serves(netip.Addr.Is6)
	all, there := f.number("net/ipv6/conf/all/disable_ipv6")
	lo, _ := f.number("net/ipv6/conf/lo/disable_ipv6")
	const why = "the file has IPv6 prefixes"
	switch {
	case there && all == 0 && lo == 0:
		return ok("on")
	case !needed:
		return ok("off, and no prefix needs it")
	case !there:
		return fail("boot without ipv6.disable=1", why, "this kernel has no IPv6")
	}
	return fail("sysctl -w net.ipv6.conf.all.disable_ipv6=0", why, "switched off")
}

// checkRoutes asks whether the packets for the prefixes come to this host's sockets.
func checkRoutes(f *Facts) []Finding {
	if f.Config == nil {
		return ok("no file, no prefixes")
	}
	findings := append(checkLoopback(f), checkHost(f)...)
	findings = append(findings, checkMissing(f)...)
	if f.Config.Steering.ManageRoutes {
		if f.Running != nil && len(f.Running.Steering.Missing) == 0 { // the file may have changed since
			findings = append(findings, each(f.foreign(), func(p netip.Prefix) []Finding {
				return fail(f.Program+" reload -c "+f.Path, "clients of its addresses time out", "%s is not local, though anyport runs and manage_routes is true", p)
			})...)
		}
		return orOK(findings, "manage_routes makes %s local", text.Count(len(f.prefixes()), "prefix", "prefixes"))
	}
	findings = append(findings, each(f.foreign(), func(p netip.Prefix) []Finding {
		return fail(fmt.Sprintf("ip route add local %s dev lo", p), "its packets would be forwarded or dropped, not served",
			"%s is not local, and steering.manage_routes is false", p)
	})...)
	return orOK(findings, "every prefix is local")
}

// foreign returns the prefixes that are not local, without those inside another of them.
func (f *Facts) foreign() []netip.Prefix {
	var all []netip.Prefix
	var covered bart.Lite
	for _, p := range f.Local {
		covered.Insert(p)
	}
	for _, p := range append(f.prefixes(), f.egress()...) {
		if !covered.LookupPrefix(p) {
			all = append(all, p)
			covered.Insert(p)
		}
	}
	return all
}

// checkMissing repeats what the running anyport misses.
func checkMissing(f *Facts) []Finding {
	if f.Running == nil {
		return nil
	}
	return each(f.Running.Steering.Missing, func(what string) []Finding {
		return fail("# restore it, and keep others from removing it; then: "+f.Program+" reload -c "+f.Path,
			"another program has removed it since anyport started, and anyport cannot put it back, or waits before it does so again", "%s", what)
	})
}

// checkLoopback finds a loopback interface that is down, as in a fresh network namespace.
func checkLoopback(f *Facts) []Finding {
	for _, l := range f.Links {
		if l.Loopback && !l.Up {
			return fail("ip link set "+l.Name+" up", "local routes go through it", "the interface %s is down", l.Name)
		}
	}
	return nil
}

// checkHost repeats what `anyport run` would refuse: a prefix that covers an address, a gateway or a subnet of
// this host.
func checkHost(f *Facts) []Finding {
	var problems config.Problems
	if !errors.As(f.HostErr, &problems) {
		return nil
	}
	return each(problems, func(p config.Problem) []Finding {
		return fail(edit(p), "anyport refuses to run with it", "%v", p)
	})
}

// checkNeighbours finds the IPv6 prefixes that a router takes for on-link: it asks for their neighbours
// and gets no answer. The kernel answers ARP for local routes, but NDP only for addresses of an
// interface.
func checkNeighbours(f *Facts) []Finding {
	type onLink struct {
		prefix netip.Prefix
		subnet host.Attached
	}
	var silent []onLink
	for _, p := range f.prefixes() {
		if subnet, ok := f.linkOf(p); ok {
			silent = append(silent, onLink{p, subnet})
		}
	}
	findings := each(silent, func(o onLink) []Finding {
		return warn(fmt.Sprintf("ip -6 route add %s via %s   # on the router of %s", o.prefix, f.addressIn(o.subnet), o.subnet.Interface),
			"nobody answers NDP for its addresses, so neighbours and the router do not find them unless it is routed to this host",
			"%s lies in %s, the subnet on %s", o.prefix, o.subnet.Prefix, o.subnet.Interface)
	})
	return orOK(findings, "no IPv6 prefix lies in a subnet of this host")
}

// linkOf returns the subnet in which neighbours would have to find p by NDP. An address that an interface has is
// answered for by the kernel.
func (f *Facts) linkOf(p netip.Prefix) (host.Attached, bool) {
	if p.Addr().Is4() {
		return host.Attached{}, false
	}
	for _, a := range f.Host.Addresses {
		if p == a.Prefix { // the kernel answers for this one
			return host.Attached{}, false
		}
	}
	for _, s := range f.Host.Subnets {
		if s.Prefix.Bits() <= p.Bits() && s.Prefix.Contains(p.Addr()) && f.resolves(s.Interface) {
			return s, true
		}
	}
	return host.Attached{}, false
}

// resolves reports whether there are neighbours to resolve on an interface.
func (f *Facts) resolves(name string) bool {
	for _, l := range f.Links {
		if l.Name == name {
			return l.Neighbours
		}
	}
	return false
}

// addressIn returns this host's address in a subnet.
func (f *Facts) addressIn(s host.Attached) string {
	for _, a := range f.Host.Addresses {
		if a.Interface == s.Interface && s.Prefix.Contains(a.Prefix.Addr()) {
			return a.Prefix.Addr().String()
		}
	}
	return "ADDRESS-OF-THIS-HOST"
}
