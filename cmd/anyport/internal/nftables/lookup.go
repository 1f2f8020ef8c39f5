package nftables

import "anyport/cmd/anyport/internal/ruleset"

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

// merged makes one atom of the values of a single field: a walk is much faster through the ranges of
// one atom than through as many tuples.
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

// catchAll is the element "*", which holds for what no other element does (since nft 0.9.9). A quoted "*" is a name.
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
	others := ruleset.Condition{Not: true} // for "*", which packets without an element have
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
