package importer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
	"anyport/cmd/anyport/internal/switchover"
)

// Script returns the steps from the old proxy to anyport, and back. Only rules that became routes as a whole are deleted
// by it. iptables says that the rules are those of iptables, and not of nftables.
func (r *Result) Script(s *ruleset.Ruleset, options Options, iptables bool) string {
	f := switchover.Facts{File: "anyport.toml", Drops: iptables, Policies: localPolicies(options.Policy)}
	for _, route := range r.Draft.Routes {
		for _, p := range route.Prefixes {
			if text := p.String(); !slices.Contains(f.Prefixes, text) {
				f.Prefixes = append(f.Prefixes, text)
			}
		}
	}
	w := switchWalk{set: s, result: r, facts: &f, iptables: iptables, seen: map[*ruleset.Chain]bool{}}
	for _, c := range w.bases() {
		w.chain(c)
	}
	var stay strings.Builder
	for _, l := range r.Report {
		if l.Rule.Action != ruleset.Intercept || l.Imported() {
			continue
		}
		f.Stays, f.Diverts, f.Policies = true, nil, nil
		how := "and takes all of its packets"
		if l.within() {
			how = "and takes what is outside of --prefix: the steps only keep the prefixes of anyport from it"
		}
		fmt.Fprintf(&stay, "# Rule %d of %s stays, %s. So do socket matches and the routing by mark.\n", l.Rule.Number, chainName(l.Chain), how)
	}
	if f.NoTProxy = !w.tproxy; f.NoTProxy {
		f.Policies = nil // they are of something else
	}
	return stay.String() + switchover.Script(f)
}

// shellText keeps a shell from expanding what a comment has: iptables-save quotes as a shell does, except
// for these two characters.
func shellText(text string) string { return strings.NewReplacer("$", "\\$", "`", "\\`").Replace(text) }

// localPolicies are the rules of marks whose tables make everything local, as those of a TPROXY set-up do.
func localPolicies(all []PolicyRule) (local []switchover.Policy) {
	for _, p := range all {
		if len(p.Routes) == 0 || slices.ContainsFunc(p.Routes, func(r string) bool { return !strings.HasPrefix(r, "local default") }) {
			continue
		}
		family := map[string]string{"ip": "-4", "ip6": "-6"}[p.Family]
		local = append(local, switchover.Policy{Family: family, Mark: p.Mark, Table: p.Table, Routes: p.Routes})
	}
	return local
}

// switchWalk visits the rules in the order in which packets meet them, each chain once. It lives for one script.
type switchWalk struct {
	set      *ruleset.Ruleset
	result   *Result
	facts    *switchover.Facts
	iptables bool
	seen     map[*ruleset.Chain]bool
	tproxy   bool // one of the rules is of TPROXY
}

// bases are the chains where packets from outside enter, in the kernel's order.
func (w *switchWalk) bases() (all []*ruleset.Chain) {
	for _, c := range w.set.Chains {
		if c.Hook == "prerouting" && c.Owner == "" {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b *ruleset.Chain) int { return cmp.Compare(a.Priority, b.Priority) })
	return all
}

// chain visits a chain once, and then those that it leads to where it does. So socket matches and TPROXY rules are met in
// the order of packets, which decides who has the new conns while both proxies run.
func (w *switchWalk) chain(c *ruleset.Chain) {
	if c == nil || w.seen[c] {
		return
	}
	w.seen[c] = true
	for _, rule := range c.Rules {
		switch {
		case rule.Action == ruleset.Intercept && w.within(rule):
			w.intercepting(c, rule)
		case asksForSocket(rule):
			w.facts.Diverts = append(w.facts.Diverts, w.divert(c, rule))
		case rule.Action == ruleset.Jump || rule.Action == ruleset.Goto:
			w.chain(w.find(c, rule.Chain))
		}
	}
}

// intercepting adds the commands for a rule that became routes.
func (w *switchWalk) intercepting(c *ruleset.Chain, rule *ruleset.Rule) {
	line := w.line(rule)
	if line.Outside {
		w.facts.Rules = append(w.facts.Rules, w.except(c, rule, line))
	} else {
		w.facts.Rules = append(w.facts.Rules, w.rule(c, rule))
	}
	if rule.To.Mechanism == ruleset.TProxy {
		w.tproxy = true
		w.facts.First = w.facts.First || len(w.facts.Diverts) > 0
		return
	}
	w.facts.Drops = true
	here := rule.To.Mechanism == ruleset.Redirect || rule.To.Address.IsLoopback()
	if port := rule.To.Ports.First; here && port != 0 && !slices.Contains(w.facts.Ports, port) {
		w.facts.Ports = append(w.facts.Ports, port)
	}
}

// line is the one of the report; nil if it has none.
func (w *switchWalk) line(rule *ruleset.Rule) *Line {
	i := slices.IndexFunc(w.result.Report, func(l Line) bool { return l.Rule == rule })
	if i < 0 {
		return nil
	}
	return &w.result.Report[i]
}

// within reports whether all of the rule that was asked for became routes.
func (w *switchWalk) within(rule *ruleset.Rule) bool {
	l := w.line(rule)
	return l != nil && l.within()
}

// except keeps the prefixes of the rule's routes from it.
func (w *switchWalk) except(c *ruleset.Chain, rule *ruleset.Rule, l *Line) switchover.Rule {
	var prefixes []string
	for _, route := range w.result.Draft.Routes {
		for _, p := range route.Prefixes {
			if text := p.String(); slices.Contains(l.Routes, route.Name) && !slices.Contains(prefixes, text) && (c.Family == "inet" || p.Addr().Is4() == (c.Family == "ip")) {
				prefixes = append(prefixes, text)
			}
		}
	}
	if w.iptables {
		return switchover.IPTablesExcept(iptablesCommand(c), c.Table, c.Name, rule.Number, prefixes)
	}
	return switchover.NFTablesExcept(c.Family, c.Table, c.Name, rule.Number, prefixes)
}

// position is the number of a rule in its chain if a rule after it stays, so that it cannot be appended again; else 0.
func (w *switchWalk) position(c *ruleset.Chain, rule *ruleset.Rule) int {
	for _, after := range c.Rules {
		goes := asksForSocket(after) || after.Action == ruleset.Intercept && w.within(after)
		if after.Number > rule.Number && !goes {
			return rule.Number
		}
	}
	return 0
}

// find returns the chain of the same table, or nil.
func (w *switchWalk) find(of *ruleset.Chain, name string) *ruleset.Chain {
	i := slices.IndexFunc(w.set.Chains, func(c *ruleset.Chain) bool {
		return c.Name == name && c.Table == of.Table && c.Family == of.Family
	})
	if i < 0 {
		return nil
	}
	return w.set.Chains[i]
}

// rule has the commands for one rule. What iptables-legacy has made looks the same: the steps say so.
func (w *switchWalk) rule(c *ruleset.Chain, rule *ruleset.Rule) switchover.Rule {
	if w.iptables {
		return switchover.IPTables(iptablesCommand(c), c.Table, shellText(rule.Text), w.position(c, rule))
	}
	return switchover.NFTables(c.Family, c.Table, c.Name, rule.Text, w.position(c, rule))
}

func iptablesCommand(c *ruleset.Chain) string {
	if c.Family == "ip6" {
		return "ip6tables"
	}
	return "iptables"
}

// divert is rule with the chain of iptables that only it leads to.
func (w *switchWalk) divert(c *ruleset.Chain, rule *ruleset.Rule) switchover.Rule {
	r, to := w.rule(c, rule), w.find(c, rule.Chain)
	if !w.iptables || to == nil || w.leading(c, rule.Chain) != 1 {
		return r
	}
	var rules []string
	for _, inside := range to.Rules {
		rules = append(rules, shellText(inside.Text))
	}
	return r.WithChain(iptablesCommand(c), c.Table, rule.Chain, rules)
}

// leading counts the rules of the table that lead to a chain.
func (w *switchWalk) leading(table *ruleset.Chain, name string) (n int) {
	for _, c := range w.set.Chains {
		if c.Table != table.Table || c.Family != table.Family {
			continue
		}
		for _, rule := range c.Rules {
			if rule.Chain == name {
				n++
			}
		}
	}
	return n
}
