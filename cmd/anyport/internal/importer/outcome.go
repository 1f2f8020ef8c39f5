package importer

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"anyport/cmd/anyport/internal/ruleset"
	"anyport/config"
)

// fate is what the rules do with packets that they do not tell apart.
type fate uint8

const (
	untouched fate = iota // by these rules; see Options.Unmatched
	forward
	pass
	refuse
	drop
	kept // a rule that stays in the kernel takes them, before anyport
)

// result is a fate and the rule behind it.
type result struct {
	fate fate
	rule *ruleset.Rule
}

// cell is what a route does: the results of all packets to one port of one class of dsts. It is
// comparable; clients are a key of compiler.clients.
type cell struct {
	result
	clients string        // "": everyone
	denied  config.Action // what the other clients get
}

// chainOf names where rules stand.
type chainOf map[*ruleset.Rule]*ruleset.Chain

// resultOf translates an outcome. left is why it cannot be translated: it may hold for one of several
// packets only, so that a rule is left for some.
func (c *compiler) resultOf(o ruleset.Outcome) (r result, left string) {
	taker := o.Instead
	if o.Verdict == ruleset.Intercepted {
		taker = o.Rule
	}
	if taker == nil {
		return result{}, ""
	}
	if c.chains[taker].Owner != "" {
		return result{kept, taker}, ""
	}
	r = result{rule: o.Rule}
	// A rule that is not understood may have changed all that follows, unless it stays in the kernel and only drops.
	for _, u := range o.Unsure {
		if !c.stays(u) {
			return result{forward, taker}, c.unsure(u)
		}
		c.keeps[u] = true
	}
	switch {
	case o.Also != nil:
		c.leave(o.Also, fmt.Sprintf("%s takes the same packets before", c.place(taker)))
		return result{forward, taker}, fmt.Sprintf("%s changes the dst of the same packets", c.place(o.Also))
	// Without a dst of its own, a rule takes what this host forwards: to serve that would be a forward proxy.
	case !o.Named && len(c.options.Prefixes) == 0 && o.Verdict == ruleset.Intercepted:
		return result{forward, taker}, "it asks for no dst of its own: traffic to addresses that are not this host's (a gateway, a forward proxy) stays with the rules; if its dsts are this host's, name them with --prefix"
	case o.Verdict == ruleset.Untouched:
		r.fate = pass
	case o.Verdict == ruleset.Dropped:
		r.fate = drop
	case o.Verdict == ruleset.Rejected:
		r.fate = refuse
	default:
		r.fate = forward
	}
	return r, ""
}

// resultFor is resultOf for packets to one dst. An operator who names the dst by --prefix knows better than the
// routes of this host.
func (c *compiler) resultFor(dst netip.Addr, o ruleset.Outcome) (result, string) {
	r, left := c.resultOf(o)
	via := c.routed.via(dst)
	if left != "" || r.fate != forward || via == "" || len(c.options.Prefixes) > 0 {
		return r, left
	}
	return r, fmt.Sprintf("this host routes these dsts %s: traffic to another host (a forward proxy) stays with the rules; if the dsts are this host's, name them with --prefix", via)
}

// unsure says why a rule that is not understood leaves others.
func (c *compiler) unsure(u *ruleset.Rule) string {
	if u.Unknown == "" {
		return "the jumps between the chains are too many to follow"
	}
	return fmt.Sprintf("%s may decide about the same packets: %s", c.place(u), u.Unknown)
}

// stays reports whether a rule that is not understood may be ignored: it goes on doing in the kernel
// what it does, before anyport sees a packet, and does not keep packets from later rules.
func (c *compiler) stays(r *ruleset.Rule) bool {
	chain := c.chains[r]
	switch r.Action {
	case ruleset.Continue:
		return r.SetMark == nil
	case ruleset.Drop, ruleset.Reject:
		return r.Unknown != ""
	case ruleset.Intercept:
		return chain.Owner != ""
	case ruleset.Jump, ruleset.Goto:
		to := c.walker.Target(chain, r)
		return to != nil && to != chain && r.Action == ruleset.Jump && c.harmless(to, 0)
	}
	return false
}

// harmless reports whether all rules of a chain only count, drop, or stay with their owner. depth ends chains that jump to
// each other, which no kernel has but a file may.
func (c *compiler) harmless(chain *ruleset.Chain, depth int) bool {
	return depth < 8 && !slices.ContainsFunc(chain.Rules, func(r *ruleset.Rule) bool {
		switch r.Action {
		case ruleset.Continue, ruleset.Intercept:
			return r.SetMark != nil || r.Action == ruleset.Intercept && chain.Owner == ""
		case ruleset.Drop, ruleset.Reject, ruleset.Return:
			return false
		case ruleset.Jump:
			to := c.walker.Target(chain, r)
			return to == nil || !c.harmless(to, depth+1)
		}
		return true
	})
}

// place names a rule in a sentence.
func (c *compiler) place(r *ruleset.Rule) string {
	return fmt.Sprintf("rule %d of %s", r.Number, chainName(c.chains[r]))
}

func chainName(c *ruleset.Chain) string { return c.Family + " " + c.Table + " " + c.Name }

// combinations are the results of all packets to one port: by class of src, then by what a route
// cannot ask for.
type combinations struct {
	results [][]result // [src][variant]
	left    map[*ruleset.Rule][]string
	word    func(variant int) string // what a variant differs in
	// forwards: a rule intercepts one of the packets at least
	forwards bool
}

// decide makes one cell of them. For what cannot be one it notes why, with all rules that this leaves.
func (c *compiler) decide(all combinations, sources []class[netip.Addr], ports class[uint16]) cell {
	rules := takers(all)
	leave := func(reason string) cell {
		for _, r := range rules {
			switch {
			case all.left[r] != nil:
			case all.forwards:
				c.leave(r, reason)
			default: // it matters only if a route forwards other ports of these dsts
				c.pending = append(c.pending, func() { c.leave(r, reason) })
			}
		}
		return cell{}
	}
	if len(all.left) > 0 {
		for rule, reasons := range all.left {
			for _, reason := range reasons {
				c.leave(rule, reason)
			}
		}
		return leave("other packets to the same ports are left")
	}
	var bySource []result
	for _, variants := range all.results {
		one, other, differ := same(variants)
		if differ >= 0 {
			return leave(fmt.Sprintf("%s decides between %s and %s", all.word(differ), c.describe(one), c.describe(other)))
		}
		bySource = append(bySource, one)
	}
	decided, reason := c.bySource(bySource, sources)
	if reason == "" && decided.fate == forward {
		reason = cmp.Or(portsFit(decided.rule, ports), originsFit(decided.rule.To))
	}
	if reason != "" {
		return leave(reason)
	}
	return decided
}

// takers are the rules that intercept, or let through, any of the packets.
func takers(all combinations) (rules []*ruleset.Rule) {
	for _, variants := range all.results {
		for _, r := range variants {
			if r.rule != nil && r.fate != kept && !slices.Contains(rules, r.rule) {
				rules = append(rules, r.rule)
			}
		}
	}
	return rules
}

// same returns the result of all variants, or two that differ, and the variant of the second. What a
// rule that stays takes may be anything.
func same(variants []result) (one, other result, differ int) {
	first := -1
	for i, r := range variants {
		switch {
		case r.fate == kept:
		case first < 0:
			first, one = i, r
		case r != one:
			return one, r, i
		}
	}
	if first < 0 {
		return result{fate: kept}, result{}, -1
	}
	return one, result{}, -1
}

func (c *compiler) describe(r result) string {
	switch {
	case r.rule != nil:
		return c.place(r.rule)
	case r.fate == untouched:
		return "no rule"
	}
	return "a rule that stays"
}

// portsFit refuses rules that choose another port than that of the packet, or than one.
func portsFit(r *ruleset.Rule, ports class[uint16]) string {
	to := r.To.Ports
	if to.First == to.Last || r.To.Mechanism != ruleset.DNAT {
		return ""
	}
	for _, s := range ports {
		if uint32(s.first) < to.First || to.Last < uint32(s.last) {
			return fmt.Sprintf("for dst ports outside %d-%d the kernel chooses one of them: an origin has one port, the client's, or a range of equal size", to.First, to.Last)
		}
	}
	return ""
}
