package nftables

import (
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
)

// part is how far a rule was translated. nft goes through a rule from left to right: a rule that changes
// the mark and asks more after that is several rules here, and so is one with a map.
type part struct {
	*translator
	chain  *ruleset.Chain
	rule   *rule
	number int
	text   string

	conditions []ruleset.Condition
	reasons    []string // of statements that may or may not match
	unclear    []string // of those that change or decide something
	asksMark   bool     // a condition has the mark
	mark       *ruleset.Mark
	targets    []branch // of tproxy, after which the rule goes on
	done       bool
	out        []*ruleset.Rule
}

// branch is where packets go that have one element of a map; without a map there is one branch.
type branch struct {
	conditions []ruleset.Condition
	to         ruleset.Target
}

// longestRule bounds the text of a rule: each element of a map has it.
const longestRule = 4096

// text is the rule as nft prints it, without counters.
func (r *rule) text() string {
	var texts []string
	for _, s := range r.statements {
		if s.text != "" && !strings.HasPrefix(s.text, "counter") {
			texts = append(texts, s.text)
		}
	}
	if r.comment != "" {
		texts = append(texts, `comment "`+r.comment+`"`)
	}
	text := strings.Join(texts, " ")
	return strings.ToValidUTF8(text[:min(len(text), longestRule)], "")
}

func (p *part) all() {
	for i, s := range p.rule.statements {
		if p.statement(s, p.rule.statements[i+1:]); p.done {
			return
		}
	}
	if len(p.targets) > 0 {
		p.intercept(true)
		return
	}
	if p.mark == nil {
		p.reasons = nil // whether it matches or not, nothing happens
	}
	p.emit(ruleset.Rule{Action: ruleset.Continue})
}

// statement translates one statement; after are those to its right.
func (p *part) statement(s statement, after []statement) {
	switch s.verb {
	case nothing, untrack, goOn:
	case asks:
		p.ask(func() { p.reasons = append(p.reasons, s.reason) })
	case unclear:
		p.unclear = append(p.unclear, s.reason)
	case match:
		p.ask(func() { p.match(s) })
	case change:
		p.change(s)
	case verdicts:
		p.ask(func() { p.verdicts(s, after) })
	case tproxy, redirect, dnat:
		p.target(s)
	default:
		p.verdict(s)
	}
}

// verdict ends the rule.
func (p *part) verdict(s statement) {
	p.done = true
	switch {
	case len(p.targets) > 0 && s.verb == accept:
		p.intercept(false)
		return
	case len(p.targets) > 0:
		p.unclear = append(p.unclear, "what follows tproxy undoes it")
	}
	p.emit(ruleset.Rule{Action: actions[s.verb], Chain: s.chain})
}

var actions = map[verb]ruleset.Action{
	accept: ruleset.Accept, drop: ruleset.Drop, reject: ruleset.Reject, leave: ruleset.Return, jump: ruleset.Jump, goes: ruleset.Goto,
	goOn: ruleset.Continue,
}

// ask lets a statement add conditions. What was changed before holds without them.
func (p *part) ask(add func()) {
	if len(p.targets) > 0 {
		p.unclear = append(p.unclear, "it asks more of packets that tproxy has taken")
		return
	}
	if p.mark != nil && p.asksMark {
		p.unclear = append(p.unclear, "it asks for a mark, changes it, and asks more")
	}
	if p.mark != nil || len(p.unclear) > 0 {
		p.emit(ruleset.Rule{Action: ruleset.Continue})
		p.mark, p.unclear = nil, nil
	}
	add()
}

// emit writes a rule for what was read, which r completes.
func (p *part) emit(r ruleset.Rule) {
	r.Number, r.Line, r.Comment = p.number, p.rule.line, p.rule.comment
	if r.Text == "" {
		r.Text = p.text
	}
	if p.values += len(p.conditions); p.isFull() {
		return
	}
	r.Conditions = append(slices.Clip(p.conditions), r.Conditions...)
	r.SetMark = p.mark
	r.Unknown = strings.Join(slices.Compact(slices.Concat(p.unclear, p.reasons)), "; ")
	p.out = append(p.out, &r)
	p.rules++
}

// verdicts writes a rule for each element of a map.
func (p *part) verdicts(s statement, after []statement) {
	p.done = true
	if slices.ContainsFunc(after, func(s statement) bool { return s.verb != nothing }) {
		p.unclear = append(p.unclear, "something follows a map of verdicts")
	}
	choices, ok := p.choices(s.left, s.right)
	if len(choices) > 1 && strings.Contains(printed(s.left, ""), "meta mark") && slices.ContainsFunc(choices, choice.jumps) {
		p.unclear = append(p.unclear, "a chain that it jumps to may change the mark that it looks up")
	}
	if !ok {
		p.emit(ruleset.Rule{Action: ruleset.Continue})
		return
	}
	before, _, found := strings.Cut(p.text, s.text)
	key := keyOf(s.left)
	for _, c := range choices {
		r := ruleset.Rule{Conditions: c.conditions}
		if v := c.verdict; v != nil {
			r.Action, r.Chain = actions[v.verb], v.chain
		}
		if found {
			r.Text = before + printed(s.left, "") + " vmap { " + c.printed(key, "") + " }"
		}
		p.emit(r)
	}
}
