package haproxy

import (
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/proxyconf"
)

// term is a criterion of a condition, or its opposite.
type term struct {
	not bool
	criterion
	lines []*directive // the acl lines that it names
}

// condition is true if all terms of one of its lists are.
type condition [][]term

// condition reads what follows an action: nothing, "if TERM…" or "unless TERM…".
func (r *reader) condition(s *settings, words []string) (condition, string) {
	if len(words) == 0 {
		return condition{{{criterion: criterion{keyword: "always"}}}}, ""
	}
	if words[0] != "if" && words[0] != "unless" {
		return nil, words[0] + " has no equal"
	}
	var all condition
	var and []term
	for i := 1; i < len(words); i++ {
		if words[i] == "||" || words[i] == "or" {
			all, and = append(all, and), nil
			continue
		}
		t := term{}
		name := words[i]
		for strings.HasPrefix(name, "!") {
			t.not, name = !t.not, name[1:]
		}
		if name == "" && i+1 < len(words) { // "! acl"
			i++
			name = words[i]
		}
		var reason string
		if name == "{" {
			end := slices.Index(words[i:], "}")
			if end < 0 {
				return nil, "a brace is not closed"
			}
			t.criterion, reason = r.criterion(words[i+1 : i+end])
			i += end
		} else {
			t.criterion, t.lines, reason = r.named(s, name)
		}
		if reason != "" {
			return nil, reason
		}
		and = append(and, t)
	}
	all = append(all, and)
	if words[0] == "unless" {
		return all.opposite()
	}
	return all, ""
}

// opposite is the condition that is true when this one is not, where that has the same form.
func (c condition) opposite() (condition, string) {
	var and []term
	for _, list := range c {
		if len(list) != 1 {
			return nil, "unless several conditions at once: anyport has lists of client prefixes"
		}
		t := list[0]
		t.not = !t.not
		and = append(and, t)
	}
	return condition{and}, ""
}

// became marks the acl lines of a condition.
func (c condition) became(keys ...string) {
	for _, list := range c {
		for _, t := range list {
			for _, d := range t.lines {
				d.Became(keys...)
			}
		}
	}
}

// dstCondition reads the condition of a use_backend line: on the dst only.
func (r *reader) dstCondition(s *settings, words []string) (proxyconf.Choice, condition, string) {
	var choice proxyconf.Choice
	c, reason := r.condition(s, words)
	if reason != "" {
		return choice, nil, reason
	}
	if len(c) != 1 {
		return r.dstAlternatives(c)
	}
	for _, t := range c[0] {
		switch {
		case t.not || t.keyword == "src":
			return choice, nil, "routes are chosen by the dst: its prefixes and ports"
		case t.keyword == "dst" && choice.To == nil:
			choice.To = t.from
		case t.keyword == "dst_port" && choice.Ports == nil:
			choice.Ports = t.ports
		case t.keyword != "always":
			return choice, nil, "it asks twice for " + t.keyword
		}
	}
	return choice, c, ""
}

// dstAlternatives are several conditions of which one must hold, all on the dst or all on its port.
func (r *reader) dstAlternatives(c condition) (choice proxyconf.Choice, _ condition, reason string) {
	for _, list := range c {
		if len(list) != 1 || list[0].not || list[0].keyword != c[0][0].keyword || list[0].keyword == "src" || list[0].keyword == "always" {
			return choice, nil, "it combines conditions that one route cannot have"
		}
		choice.To = append(choice.To, list[0].from...)
		choice.Ports = append(choice.Ports, list[0].ports...)
	}
	return choice, c, ""
}
