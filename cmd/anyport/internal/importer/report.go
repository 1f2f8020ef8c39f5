package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
	"anyport/cmd/anyport/internal/text"
)

// report has a line for each rule that has to do with an interception: those that intercept, those
// that became routes, and those that keep packets from one and have no equal.
func (c *compiler) report(s *ruleset.Ruleset, routes map[*ruleset.Rule][]string) (lines []Line) {
	from := reachable(c.walker, s, "prerouting")
	local := reachable(c.walker, s, "output")
	for _, chain := range s.Chains {
		if chain.Owner != "" {
			continue
		}
		for _, r := range chain.Rules {
			l := Line{Chain: chain, Rule: r, Routes: routes[r], Left: c.left[r]}
			l.Outside = len(l.Routes) > 0 && c.takesOutside(r)
			switch {
			case len(l.Routes) > 0 || len(l.Left) > 0:
			case r.Action == ruleset.Intercept:
				l.Left = []string{c.whyNot(r, from[chain], local[chain])}
			default:
				l.Kept = c.whyKept(chain, r, from[chain])
			}
			if len(l.Routes) > 0 || len(l.Left) > 0 || l.Kept != "" {
				lines = append(lines, l)
			}
		}
	}
	return lines
}

// whyNot says why no packet of an intercepting rule was found.
func (c *compiler) whyNot(r *ruleset.Rule, reached, local bool) string {
	switch {
	case r.Unknown != "":
		return r.Unknown
	case local && !reached:
		return "it takes conns that this host opens (OUTPUT): anyport takes what arrives"
	case !reached:
		return "nothing leads from PREROUTING to its chain"
	case len(c.options.Prefixes) > 0 || c.options.Interface != "":
		return "it takes nothing within --prefix and --interface"
	}
	if jump := c.mayLead(r); jump != nil {
		return fmt.Sprintf("%s may lead here: %s", c.place(jump), jump.Unknown)
	}
	return "no packet gets to it: rules before it take all, or its conditions exclude each other"
}

// mayLead returns the first rule that is not understood and jumps to the chain of r; nil if there is none.
func (c *compiler) mayLead(r *ruleset.Rule) (first *ruleset.Rule) {
	for jump, chain := range c.chains {
		if jump.Unknown != "" && c.walker.Target(chain, jump) == c.chains[r] && (first == nil || c.order[jump] < c.order[first]) {
			first = jump
		}
	}
	return first
}

// whyKept says of a rule without a route what is to be done with it.
func (c *compiler) whyKept(chain *ruleset.Chain, r *ruleset.Rule, reached bool) string {
	if !reached {
		return mentions(r)
	}
	if asksForSocket(r) {
		return "not needed: anyport has no packets of open conns to divert"
	}
	next := c.walker.Target(chain, r)
	switch {
	case next != nil && next.Owner != "" && c.walker.Leads(next):
		return "it leads to rules of " + next.Owner + ", which stay"
	case next != nil && c.walker.Leads(next) && r.Unknown != "":
		return "it leads to the rules of " + next.Name + ", and is not understood: " + r.Unknown
	case next != nil && c.walker.Leads(next):
		return "it leads to the rules of " + next.Name + ", which stand here"
	case c.keeps[r] && r.Action != ruleset.Continue:
		return "keep it, it works before anyport: " + r.Unknown
	}
	return mentions(r)
}

// mentions catches what names an interception and was not taken for one.
func mentions(r *ruleset.Rule) string {
	text := strings.ToLower(r.Text)
	for _, word := range []string{"tproxy", "redirect ", "dnat"} {
		if strings.Contains(text, word) && !strings.Contains(text, "--ctstate") {
			return "it names " + strings.TrimSpace(word) + " and takes no packets"
		}
	}
	return ""
}

func asksForSocket(r *ruleset.Rule) bool {
	return slices.ContainsFunc(r.Conditions, func(c ruleset.Condition) bool {
		return slices.ContainsFunc(c.Any, func(tuple []ruleset.Atom) bool {
			return slices.ContainsFunc(tuple, func(a ruleset.Atom) bool { return a.Field == ruleset.TransparentSocket })
		})
	})
}

// reachable are the chains that packets of a hook can get to.
func reachable(w *ruleset.Walker, s *ruleset.Ruleset, hook string) map[*ruleset.Chain]bool {
	all := map[*ruleset.Chain]bool{}
	var visit func(c *ruleset.Chain)
	visit = func(c *ruleset.Chain) {
		if all[c] {
			return
		}
		all[c] = true
		for _, r := range c.Rules {
			if next := w.Target(c, r); next != nil {
				visit(next)
			}
		}
	}
	for _, c := range s.Chains {
		if c.Hook == hook {
			visit(c)
		}
	}
	return all
}

// notes say what differs though all is imported, and who else has rules.
func (c *compiler) notes(s *ruleset.Ruleset) (all []string) {
	if len(c.arriving) > 0 && c.arriving[0] != anyInterface {
		all = append(all, fmt.Sprintf("the rules take packets that arrive on %s: anyport has no key for interfaces, and takes those of all", strings.Join(c.arriving, ", ")))
	}
	if changing := c.changing(s); changing != "" {
		all = append(all, changing)
	}
	if listens := c.oldListener(); listens != "" {
		all = append(all, listens)
	}
	for _, p := range c.options.Policy {
		all = append(all, fmt.Sprintf("%s rule %s, with the routes %s: not needed by anyport, and no longer by the rules once they are removed", p.Family, p, strings.Join(p.Routes, ", ")))
	}
	for _, skipped := range s.Skipped {
		all = append(all, fmt.Sprintf("table %s %s, with %d rules, is left: %s", skipped.Family, skipped.Table, skipped.Rules, skipped.Reason))
	}
	return append(all, owned(s)...)
}

// changing warns of filters on input where rules that change the dst were imported: without these the
// filters see the ports that clients ask for.
func (c *compiler) changing(s *ruleset.Ruleset) string {
	changes, filters := false, ""
	for _, chain := range s.Chains {
		for _, r := range chain.Rules {
			changes = changes || c.imported[r] && r.Action == ruleset.Intercept && r.To.Mechanism != ruleset.TProxy
			if chain.Hook == "input" && (r.Action == ruleset.Drop || r.Action == ruleset.Reject || chain.Policy == ruleset.Drop) {
				filters = chainName(chain)
			}
		}
	}
	if !changes || filters == "" {
		return ""
	}
	return filters + " saw the ports of the old proxy, and will see those that clients ask for: check that it lets them in"
}

// oldListener warns where rules change the dst to an address of this host: the old proxy listens on one that a route
// may serve, with another port that the route takes.
func (c *compiler) oldListener() string {
	for _, r := range slices.SortedFunc(maps.Keys(c.imported), func(a, b *ruleset.Rule) int { return c.order[a] - c.order[b] }) {
		if r.Action == ruleset.Intercept && r.To.Mechanism == ruleset.Redirect && r.To.Ports.First != 0 {
			return fmt.Sprintf("the old proxy listens on port %d of this host. Where a route takes this port too, anyport starts beside it only with shadow_listeners = true in [steering]", r.To.Ports.First)
		}
	}
	return ""
}

// owned counts the chains and rules of other programs.
func owned(s *ruleset.Ruleset) (all []string) {
	chains, rules, intercepting := map[string]int{}, map[string]int{}, map[string]int{}
	var programs []string
	for _, chain := range s.Chains {
		if chain.Owner == "" {
			continue
		}
		if chains[chain.Owner] == 0 {
			programs = append(programs, chain.Owner)
		}
		chains[chain.Owner]++
		rules[chain.Owner] += len(chain.Rules)
		for _, r := range chain.Rules {
			if r.Action == ruleset.Intercept {
				intercepting[chain.Owner]++
			}
		}
	}
	for _, program := range programs {
		all = append(all, fmt.Sprintf("%s keeps %s with %s (%d intercept): left, since %[1]s writes them again",
			program, text.Count(chains[program], "chain", "chains"), text.Count(rules[program], "rule", "rules"), intercepting[program]))
	}
	return all
}
