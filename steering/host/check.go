package host

import (
	"fmt"
	"net/netip"
	"strings"

	"anyport/config"
	"anyport/steering/table"
)

// Network is what the network of this host consists of: what no prefix may take from it.
type Network struct {
	Addresses []Attached   // its own, each as a single host
	Subnets   []Attached   // reached through an interface without a gateway
	Gateways  []netip.Addr // of its routes
}

// Attached is an address or subnet and its interface.
type Attached struct {
	Prefix    netip.Prefix
	Interface string
}

// Check returns, as [config.Problems], what on this host forbids to serve cfg: the
// findings of [CheckHost] and those of [Shadowed] among listeners. With shadow_listeners the
// latter are no error, but listed. It reads the network namespace of the calling thread.
func Check(cfg *config.Config, table *table.Table, listeners []Listener) (shadowed []Shadow, err error) {
	host, err := ReadNetwork()
	if err != nil {
		return nil, err
	}
	problems, shadowed := networkProblems(cfg, host), Shadowed(table, listeners, host)
	if !cfg.Steering.ShadowListeners {
		for _, s := range shadowed {
			problems = append(problems, s.problem(cfg))
		}
	}
	return shadowed, asError(cfg, problems)
}

// asError returns nil where there are no problems: an empty list in an error is not nil.
func asError(cfg *config.Config, problems config.Problems) error {
	if len(problems) == 0 {
		return nil
	}
	return cfg.Locate(problems)
}

// CheckNetwork returns, as [config.Problems], the prefixes of cfg that would cut host off
// from its own network. A prefix of a single address takes that alone, as it says; the
// loopback addresses are not the business of this check.
func CheckNetwork(cfg *config.Config, host *Network) error {
	return asError(cfg, networkProblems(cfg, host))
}

func networkProblems(cfg *config.Config, host *Network) config.Problems {
	var problems config.Problems
	for _, r := range cfg.Routes {
		for i, p := range r.Prefixes {
			taken := host.coveredBy(p)
			if p.IsSingleIP() || len(taken) == 0 {
				continue
			}
			problems = append(problems, config.Problem{
				File: cfg.Path, Line: r.Line, Route: r.Name, Key: fmt.Sprintf("prefixes[%d]", i),
				Text: fmt.Sprintf("%s covers %s, so this host would be cut off: take longer prefixes that leave them out, or single addresses",
					p, strings.Join(taken, ", ")),
			})
		}
		problems = append(problems, egressProblems(cfg, r, host)...)
	}
	return problems
}

// egressProblems: of an egress prefix all UDP is taken, so a single address is no better.
func egressProblems(cfg *config.Config, r *config.Route, host *Network) (problems config.Problems) {
	for i, p := range r.EgressPrefixes {
		if taken := host.coveredBy(p); len(taken) > 0 {
			problems = append(problems, config.Problem{
				File: cfg.Path, Line: r.Line, Route: r.Name, Key: fmt.Sprintf("egress_prefixes[%d]", i),
				Text: fmt.Sprintf("%s covers %s, whose UDP it would take: use addresses that this host has no other use for", p, strings.Join(taken, ", ")),
			})
		}
	}
	return problems
}

// coveredBy names what of the host lies in p.
func (h *Network) coveredBy(p netip.Prefix) []string {
	var taken []string
	for _, s := range h.Subnets {
		if covers(p, s.Prefix) {
			taken = append(taken, fmt.Sprintf("the subnet %s on %s", s.Prefix, s.Interface))
		}
	}
	for _, g := range h.Gateways {
		if p.Contains(g) {
			taken = append(taken, fmt.Sprintf("the gateway %s", g))
		}
	}
	for _, a := range h.Addresses {
		if covers(p, a.Prefix) {
			taken = append(taken, fmt.Sprintf("this host's address %s on %s", a.Prefix.Addr(), a.Interface))
		}
	}
	return taken
}

// covers reports whether all of inner lies in outer and is not loopback.
func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr()) && !inner.Addr().IsLoopback()
}
