package nftables

import (
	"anyport/cmd/anyport/internal/ruleset"
)

// match adds what a statement asks to the conditions of the rule, or the reason why it cannot.
func (p *part) match(s statement) {
	if p.special(s) {
		return
	}
	keys, ok := p.keys(s.left)
	if !ok {
		return
	}
	c := ruleset.Condition{Not: s.sign == "!=" || s.sign == "!"}
	if s.sign == "==" || c.Not {
		m, ok := p.members(keys, s.left, s.right)
		switch {
		case !ok || m.everything && !c.Not:
			return
		case m.everything:
			c = ruleset.Condition{} // nothing
		default:
			c.Any = m.tuples
		}
	} else {
		a, ok := compared(keys[0], s.sign, s.right)
		if !ok || len(keys) != 1 {
			p.reason(printed(s.left, "") + " " + s.sign)
			return
		}
		c.Any = [][]ruleset.Atom{{a}}
	}
	p.conditions = append(p.conditions, c)
}

// reason adds why what begins so has no translation.
func (p *part) reason(text string) { p.reasons = append(p.reasons, reasonOf(text).text) }

// keys are the parts of what is looked at. Looking at them asks for their protocol and family: nft
// loads "tcp dport 80" as two comparisons, of which it prints one. That holds for "!=" too: a datagram
// of UDP does not match "tcp dport != 80".
func (p *part) keys(left *expression) ([]key, bool) {
	parts := []*expression{left}
	if left.kind == concat {
		parts = left.args
	}
	keys := make([]key, len(parts))
	for i, e := range parts {
		k, known := keyFor(e)
		if k.protocol != 0 {
			p.protocol(k.protocol)
		}
		p.family(k.family)
		switch {
		case k.protocol != 0 && k.protocol != 6 && k.protocol != 17:
			return nil, false // no packet of TCP or UDP has it
		case !known, k.field == ruleset.ConnState && p.untracked:
			why := reasonOf(printed(e, "")).text
			if known {
				why = tracking
			}
			p.reasons = append(p.reasons, why)
			return nil, false
		}
		p.asksMark = p.asksMark || k.field == ruleset.PacketMark
		keys[i] = k
	}
	return keys, true
}

// protocol and family add conditions that a statement has by the way.
func (p *part) protocol(n uint32) {
	p.once(ruleset.Atom{Field: ruleset.Protocol, Numbers: []ruleset.Range{{First: n, Last: n}}})
}

// family restricts the rule to a family that a selector implies ("ip daddr" in a table of inet), once, and not in a table
// that only sees this family.
func (p *part) family(name string) {
	n := map[string]uint32{"ip": 4, "ip6": 6}[name]
	if n != 0 && p.chain.Family != name {
		p.once(ruleset.Atom{Field: ruleset.Family, Numbers: []ruleset.Range{{First: n, Last: n}}})
	}
}

// once adds a condition that the rule does not have yet.
func (p *part) once(a ruleset.Atom) {
	for _, c := range p.conditions {
		if c.Not || len(c.Any) != 1 || len(c.Any[0]) != 1 || c.Any[0][0].Field != a.Field {
			continue
		}
		if has := c.Any[0][0].Numbers; len(has) == 1 && has[0] == a.Numbers[0] {
			return
		}
	}
	p.conditions = append(p.conditions, ruleset.Condition{Any: [][]ruleset.Atom{{a}}})
}
