package nftables

import (
	"strconv"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
)

// change translates "… set …". Most of what rules change has no part in where packets go.
func (p *part) change(s statement) {
	switch what := printed(s.left, ""); {
	case what == "meta mark":
		p.setMark(s)
	case strings.HasPrefix(what, "meta "), strings.HasPrefix(what, "ct "), strings.HasPrefix(what, "tcp option"):
	case harmless[what]:
	default:
		p.unclear = append(p.unclear, "it changes "+what)
	}
}

// harmless are parts of packets that no rule here asks for.
var harmless = map[string]bool{
	"ip dscp": true, "ip ttl": true, "ip ecn": true, "ip6 dscp": true, "ip6 hoplimit": true, "ip6 ecn": true, "ip6 flowlabel": true,
}

// setMark merges two changes of one rule: the second applies to the mark that the first has made.
func (p *part) setMark(s statement) {
	if s.right != nil && s.right.kind == lookup {
		p.markByMap(s.right)
		return
	}
	m, ok := markOf(s.right)
	if !ok {
		p.unclear = append(p.unclear, "what it sets the mark to is not a constant")
		return
	}
	if before := p.mark; before != nil {
		m = ruleset.Mark{Value: before.Value&^m.Mask ^ m.Value, Mask: before.Mask | m.Mask}
	}
	p.mark = &m
}

// markByMap writes a rule for each element; what follows holds for the packets that have one. Those
// without end the rule there.
func (p *part) markByMap(e *expression) {
	p.ask(func() {
		choices, ok := p.choices(e.args[0], e.args[1])
		if p.asksMark {
			p.unclear, ok = append(p.unclear, "it asks for a mark, changes it, and asks more"), false
		}
		if !ok {
			return
		}
		all := ruleset.Condition{}
		for _, c := range choices {
			m, isConstant := markOf(c.data)
			if !isConstant || len(c.conditions) != 1 || c.conditions[0].Not {
				p.unclear = append(p.unclear, "what it sets the mark to is not a constant")
				return
			}
			p.mark = &m
			p.emit(ruleset.Rule{Action: ruleset.Continue, Conditions: c.conditions})
			all.Any = append(all.Any, c.conditions[0].Any...)
		}
		p.mark = nil
		p.conditions = append(p.conditions, all)
	})
}

// markOf is the change that the new value of a mark is: a number, or the old mark with some bits
// changed.
func markOf(e *expression) (ruleset.Mark, bool) {
	if e == nil {
		return ruleset.Mark{}, false
	}
	switch e.kind {
	case literal:
		n, err := strconv.ParseUint(e.text, 0, 32)
		return ruleset.Mark{Value: uint32(n), Mask: ^uint32(0)}, err == nil
	case selector:
		return ruleset.Mark{}, e.text == "meta mark"
	case operation:
		m, ok := markOf(e.args[0])
		n, err := strconv.ParseUint(e.args[1].text, 0, 32)
		if e.args[1].kind != literal {
			ok = false
		}
		m, known := operate(m, e.text, uint32(n))
		return m, ok && known && err == nil
	}
	return ruleset.Mark{}, false
}

// operate is m with one more operation. The form mark &^ Mask ^ Value is closed under the three: for
// "& n" the bits outside of n are cleared in both parts, for "| n" they are cleared and set.
func operate(m ruleset.Mark, sign string, n uint32) (ruleset.Mark, bool) {
	switch sign {
	case "&":
		return ruleset.Mark{Value: m.Value & n, Mask: m.Mask | ^n}, true
	case "|":
		return ruleset.Mark{Value: m.Value&^n | n, Mask: m.Mask | n}, true
	case "^":
		return ruleset.Mark{Value: m.Value ^ n, Mask: m.Mask}, true
	}
	return m, false
}
