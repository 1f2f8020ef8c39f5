package importer

import (
	"fmt"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
	"anyport/cmd/anyport/internal/switchover"
	"anyport/config"
)

// Switch is what the steps of the switch need to know. Rules that are left, even in part, stay: they go on
// taking all of their packets, and stays names them.
func (r *Result) Switch(s *ruleset.Ruleset, options Options, native bool) (facts switchover.Facts, stays []string) {
	order := newCompiler(s, options).order
	last, stay := -1, false // the last rule that goes; whether another one needs marks and diverts
	for _, l := range r.Report {
		stay = stay || l.Rule.Action == ruleset.Intercept && !l.Imported()
		switch {
		case l.Rule.Action == ruleset.Intercept && l.Imported():
			facts.Rules = append(facts.Rules, commandsOf(l, native))
			facts.Drops = facts.Drops || !native || l.Rule.To.Mechanism != ruleset.TProxy
			last = order[l.Rule]
		case l.Rule.Action == ruleset.Intercept && len(l.Routes) > 0:
			stays = append(stays, fmt.Sprintf("rule %d of %s stays, and takes all of its packets: a part of it has no equal", l.Rule.Number, chainName(l.Chain)))
		case asksForSocket(l.Rule):
			divert := commandsOf(l, native)
			if own := ownChain(s, l.Chain, l.Rule); own != nil && !native {
				divert = divert.WithChain(command(l.Chain), l.Chain.Table, own.Name, texts(own))
			}
			facts.Diverts = append(facts.Diverts, divert)
		}
	}
	for _, l := range r.Report {
		facts.First = facts.First || asksForSocket(l.Rule) && order[l.Rule] < last
	}
	for _, p := range options.Policy {
		family := map[string]string{"ip": "-4", "ip6": "-6"}[p.Family]
		facts.Policies = append(facts.Policies, switchover.Policy{Family: family, Mark: p.Mark, Table: p.Table, Routes: p.Routes})
	}
	if stay {
		facts.Diverts, facts.Policies = nil, nil
		stays = append(stays, "the socket matches, ip rules and their tables stay too: rules that are left may need them")
	}
	for _, route := range r.Draft.Routes {
		for _, p := range route.Prefixes {
			if route.Action == config.Forward {
				facts.Prefixes = append(facts.Prefixes, p.String())
			}
		}
	}
	return facts, stays
}

func commandsOf(l Line, native bool) switchover.Rule {
	if native {
		return switchover.NFTables(l.Chain.Family, l.Chain.Table, l.Chain.Name, l.Rule.Text)
	}
	return switchover.IPTables(command(l.Chain), l.Chain.Table, shellText(l.Rule.Text))
}

// shellText keeps a shell from expanding what a comment has: iptables-save quotes as a shell does, but for
// these two.
func shellText(text string) string { return strings.NewReplacer("$", "\\$", "`", "\\`").Replace(text) }

func command(c *ruleset.Chain) string {
	if c.Family == "ip6" {
		return "ip6tables"
	}
	return "iptables"
}

// ownChain is the chain that a rule jumps to, if no other rule does and it leads nowhere.
func ownChain(s *ruleset.Ruleset, from *ruleset.Chain, r *ruleset.Rule) (own *ruleset.Chain) {
	if r.Action != ruleset.Jump && r.Action != ruleset.Goto {
		return nil
	}
	for _, c := range s.Chains {
		if c.Family != from.Family || c.Table != from.Table {
			continue
		}
		if c.Name == r.Chain {
			own = c
		}
		for _, other := range c.Rules {
			if other != r && other.Chain == r.Chain {
				return nil
			}
		}
	}
	return own
}

func texts(c *ruleset.Chain) (all []string) {
	for _, r := range c.Rules {
		all = append(all, shellText(r.Text))
	}
	return all
}
