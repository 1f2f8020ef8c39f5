package nftables

import (
	"strings"

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

// keys are the parts of what is looked at. Looking at them asks for their protocol and family.
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

// members are the values that keys may have.
func (p *part) members(keys []key, left, right *expression) (m members, ok bool) {
	elements, ok := p.elements(right)
	if !ok {
		return m, false
	}
	id := inSet{key: printed(left, "")}
	if right.kind == reference {
		id.name = right.text
		if known, is := p.sets[id]; is {
			return known, true
		}
	}
	for _, e := range elements {
		if e.catchAll() {
			m.everything = true
			continue
		}
		tuple, ok := p.tuple(keys, e.key)
		if !ok {
			p.reason(id.key)
			return m, false
		}
		m.tuples = append(m.tuples, tuple)
	}
	m.tuples = merged(m.tuples)
	if id.name != "" {
		p.sets[id] = m
	}
	return m, true
}

// merged makes one atom of the values of a single field.
func merged(tuples [][]ruleset.Atom) [][]ruleset.Atom {
	if len(tuples) < 2 || len(tuples[0]) != 1 {
		return tuples
	}
	one := tuples[0][0]
	for _, tuple := range tuples[1:] {
		a := tuple[0]
		one.Addresses, one.Numbers, one.Names = append(one.Addresses, a.Addresses...), append(one.Numbers, a.Numbers...), append(one.Names, a.Names...)
	}
	return [][]ruleset.Atom{{one}}
}

// elements are those of a set, or the one value that stands for itself.
func (p *part) elements(e *expression) ([]element, bool) {
	switch {
	case e == nil || e.kind == opaque:
		p.reasons = append(p.reasons, "what it compares with is not understood")
		return nil, false
	case e.kind == list:
		return e.elements, true
	case e.kind != reference:
		return []element{{key: e}}, true
	}
	s := p.table.sets[e.text]
	switch {
	case s == nil:
		p.reasons = append(p.reasons, "the input has no set @"+e.text)
	case s.changing != "":
		p.reasons = append(p.reasons, s.changing)
	default:
		return s.elements, true
	}
	return nil, false
}

func (e element) catchAll() bool {
	return e.key != nil && e.key.kind == literal && e.key.text == "*" && !e.key.quoted
}

// tuple is one element of a set.
func (p *part) tuple(keys []key, e *expression) ([]ruleset.Atom, bool) {
	parts := []*expression{e}
	if e != nil && e.kind == concat {
		parts = e.args
	}
	if len(parts) != len(keys) {
		return nil, false
	}
	tuple := make([]ruleset.Atom, len(keys))
	for i, value := range parts {
		a, ok := keys[i].atom(value)
		if !ok {
			return nil, false
		}
		tuple[i] = a
	}
	p.values += len(tuple)
	return tuple, true
}

// choice is an element of a map, with the conditions of it alone.
type choice struct {
	element
	conditions []ruleset.Condition
}

func (c choice) jumps() bool { return c.verdict != nil && c.verdict.verb == jump }

// choices are the elements of a map that left is looked up in. A packet has at most one of them. Not ok:
// the reason has been added, or no packet has any.
func (p *part) choices(left, right *expression) ([]choice, bool) {
	keys, ok := p.keys(left)
	if !ok {
		return nil, false
	}
	elements, ok := p.elements(right)
	if !ok {
		return nil, false
	}
	var choices []choice
	others := ruleset.Condition{Not: true}
	var rest *element
	for _, e := range elements {
		if e.catchAll() {
			rest = &e
			continue
		}
		tuple, ok := p.tuple(keys, e.key)
		if !ok {
			p.reason(printed(left, ""))
			return nil, false
		}
		others.Any = append(others.Any, tuple)
		choices = append(choices, choice{e, []ruleset.Condition{{Any: [][]ruleset.Atom{tuple}}}})
	}
	if rest != nil {
		choices = append(choices, choice{*rest, []ruleset.Condition{others}})
	}
	return choices, true
}

// special translates what is not a value of a field.
func (p *part) special(s statement) bool {
	switch what := keyOf(s.left); what {
	case "socket wildcard": // with "socket transparent 1", it asks for more than that alone, of the same socket
		return p.rule.asksForTransparent()
	case "tcp flags":
		p.protocol(6)
		p.flags(s)
		return true
	case "fib daddr type":
		value := printed(s.right, "")
		if s.sign != "==" || value == "local" || s.right.kind != literal {
			return false
		}
		p.conditions = append(p.conditions, ruleset.Condition{Not: true, Any: [][]ruleset.Atom{{{Field: ruleset.LocalDestination}}}})
		p.reason("fib")
		return true
	}
	return false
}

func (r *rule) asksForTransparent() bool {
	for _, s := range r.statements {
		if s.verb == match && s.left.text == "socket transparent" && s.sign == "==" && printed(s.right, "") == "1" {
			return true
		}
	}
	return false
}

// flags compares with the flags of the first packet of a conn: SYN alone, or with ECN's.
func (p *part) flags(s statement) {
	mask, value := uint32(0xff), flagBits(printed(s.right, ""))
	exact := s.left.kind == operation
	if exact {
		mask = flagBits(printed(s.left.args[1], ""))
	}
	var holds bool
	switch {
	case value == 0 && printed(s.right, "") != "0x0" || mask == 0 || exact && mask&0xc0 != 0 || s.right.kind != literal:
		p.reason("tcp flags")
		return
	case exact:
		holds = mask&2 == value
	case s.sign == "in":
		holds = value&2 != 0
	default:
		p.reason("tcp flags")
		return
	}
	if holds == (s.sign == "!=") {
		p.conditions = append(p.conditions, ruleset.Condition{})
	}
}

// flagBits is 0 for what is not understood.
func flagBits(text string) (bits uint32) {
	for _, name := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("(),| ", r) }) {
		bit, known := map[string]uint32{"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}[name]
		if !known {
			return 0
		}
		bits |= bit
	}
	return bits
}
