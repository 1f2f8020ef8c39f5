package host

import (
	"fmt"
	"strings"

	"anyport/config"
	"anyport/steering/table"
)

// Check returns, as [config.Problems], what on this host forbids to serve cfg: the
// findings of [CheckNetwork] and those of [Shadowed] among listeners that no route owns. With shadow_listeners the
// latter are returned and are not an error. It reads the network namespace of the calling thread.
func Check(cfg *config.Config, table *table.Table, listeners []Listener, owns Owns) (shadowed []Shadow, err error) {
	host, err := ReadNetwork()
	if err != nil {
		return nil, err
	}
	problems, shadowed := networkProblems(cfg, host), Shadowed(table, listeners, host, owns)
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

// networkProblems is pure: it compares the file with what was read of the network.
func networkProblems(cfg *config.Config, host *Network) config.Problems {
	var problems config.Problems
	for _, r := range cfg.Routes {
		for i, p := range r.Prefixes {
			taken := host.partsIn(p)
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
		problems = append(problems, transparentProblems(cfg, r, host)...)
	}
	return problems
}

// egressProblems: of an egress prefix all UDP is taken, so a single address is no better.
func egressProblems(cfg *config.Config, r *config.Route, host *Network) (problems config.Problems) {
	for i, p := range r.EgressPrefixes {
		if taken := host.partsIn(p); len(taken) > 0 {
			problems = append(problems, config.Problem{
				File: cfg.Path, Line: r.Line, Route: r.Name, Key: fmt.Sprintf("egress_prefixes[%d]", i),
				Text: fmt.Sprintf("%s covers %s, whose UDP it would take: use addresses that this host has no other use for", p, strings.Join(taken, ", ")),
			})
		}
	}
	return problems
}

// transparentProblems: an origin on this host would send its answers to the client itself.
func transparentProblems(cfg *config.Config, r *config.Route, host *Network) (problems config.Problems) {
	if !r.Transparent {
		return nil
	}
	for i, o := range r.Origins {
		for _, a := range host.Addresses {
			if a.Prefix.Addr() == o.Addr {
				problems = append(problems, config.Problem{
					File: cfg.Path, Line: r.Line, Route: r.Name, Key: fmt.Sprintf("origins[%d]", i),
					Text: fmt.Sprintf("%s is this host's address on %s: with transparent it would answer clients directly: name an origin on another host, or remove transparent", o.Addr, a.Interface),
				})
			}
		}
	}
	return problems
}
