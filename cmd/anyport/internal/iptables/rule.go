package iptables

import (
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
)

// parser reads the words of one rule, from left to right, as iptables' own parser does: an option is of the match or
// target that -m or -j has named last. It belongs to one call of reader.rule.
type parser struct {
	rule   ruleset.Rule
	rest   []string
	family string
	sets   *Sets

	not     bool // "!" stands before the option
	match   string
	target  string
	unknown []string
	reasons map[string]bool // the matches and targets that are unknown as a whole
}

// parse reads all words. "!" holds for the option after it only.
func (p *parser) parse() {
	for len(p.rest) > 0 {
		word := p.take()
		switch {
		case word == "!":
			p.not = true
			continue
		case !strings.HasPrefix(word, "-"):
			p.fail(word + ": not understood")
		default:
			p.option(word)
		}
		p.not = false
	}
	p.finish()
	p.rule.Unknown = strings.Join(p.unknown, "; ")
}

// take is the next word; "" at the end, which no reader of a value accepts.
func (p *parser) take() string {
	if len(p.rest) == 0 {
		return ""
	}
	word := p.rest[0]
	p.rest = p.rest[1:]
	return word
}

// option reads one option with its arguments. The "!" of old versions stands after the option.
func (p *parser) option(word string) {
	if name, value, joined := strings.Cut(word, "="); joined && strings.HasPrefix(word, "--") {
		word, p.rest = name, append([]string{value}, p.rest...)
	}
	if len(p.rest) > 0 && p.rest[0] == "!" && !strings.HasPrefix(word, "-j") {
		if o := options[word]; o != nil && o.argument {
			p.not = true
			p.take()
		}
	}
	if o := options[word]; o != nil && (o.match == "" || o.match == p.match) {
		p.known(word, o)
		return
	}
	if read := targetOptions[p.target][word]; read != nil {
		if !read(p) {
			p.fail(word + ": not understood")
		}
		return
	}
	text := strings.Join(append([]string{word}, p.arguments()...), " ")
	if p.reasons[p.match] || p.harmless() {
		return // -m has said why, or nothing depends on it
	}
	p.fail(text + ": not understood")
}

// arguments skips those of an option that is not known.
func (p *parser) arguments() (skipped []string) {
	for len(p.rest) > 0 && p.rest[0] != "!" && !strings.HasPrefix(p.rest[0], "-") {
		skipped = append(skipped, p.take())
	}
	return skipped
}

// known adds the conditions of an option that is in the table. A value that is not understood must fail the rule: left
// out, the rule would take more packets than the kernel's does.
func (p *parser) known(word string, o *option) {
	value := ""
	if o.argument {
		value = p.take()
	}
	conditions, ok := o.read(p, value)
	if !ok {
		p.fail(strings.TrimSpace(word+" "+value) + ": not understood")
		return
	}
	p.rule.Conditions = append(p.rule.Conditions, conditions...)
}

// fail makes the rule unknown. Its conditions stay, since they bound what it can match.
func (p *parser) fail(reason string) { p.unknown = append(p.unknown, reason) }

// one is a condition of one atom, negated if "!" was there.
func (p *parser) one(a ruleset.Atom) []ruleset.Condition {
	return []ruleset.Condition{{Not: p.not, Any: [][]ruleset.Atom{{a}}}}
}
