package iptables

import (
	"fmt"
	"strings"

	"anyport/cmd/anyport/internal/ruleset"
	"anyport/config/form"
)

// Parse reads one or more outputs of iptables-save and ip6tables-save. The family comes from the
// comment that these begin with; without one, from the addresses of each table.
func Parse(text string, sets *Sets) (*ruleset.Ruleset, error) {
	r := reader{all: &ruleset.Ruleset{}, sets: sets}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if err := r.line(i, strings.TrimSpace(line), lines); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if len(r.all.Chains) == 0 {
		return nil, fmt.Errorf("no table: this is not the output of iptables-save")
	}
	return r.all, nil
}

// reader is where one text was read to.
type reader struct {
	all    *ruleset.Ruleset
	sets   *Sets
	header string // "ip" or "ip6", of the last comment that said so
	family string // of the current table
	table  string
}

// generated is how iptables-save introduces itself, in all of its variants.
var generated = form.New(`^#.*\b(ip6?)tables-(?:nft-|legacy-)?save\b`)

// counters stand before or after a rule.
var counters = form.New(`^\[\d+:\d+\]\s*`)

// line reads one line. What is not of the form of iptables-save fails the whole input: a line that is skipped may be
// the rule that keeps packets from all others.
func (r *reader) line(i int, line string, lines []string) error {
	line = counters().ReplaceAllString(line, "")
	switch {
	case line == "" || line == "COMMIT":
	case line[0] == '#':
		if m := generated().FindStringSubmatch(line); m != nil {
			r.header = m[1]
		}
	case line[0] == '*':
		r.table, r.family = strings.TrimSpace(line[1:]), r.header
		if r.family == "" {
			r.family = guessFamily(lines[i+1:])
		}
	case isCommand(line):
		return fmt.Errorf("%.40q is a command: run the script, and import what iptables-save and ip6tables-save print then", line)
	case r.table == "":
		return fmt.Errorf("%.40q stands before a line such as *mangle: this is not the output of iptables-save", line)
	case line[0] == ':':
		return r.chain(strings.Fields(line[1:]))
	case strings.HasPrefix(line, "-A ") || strings.HasPrefix(line, "--append "):
		return r.rule(i+1, line)
	default:
		return fmt.Errorf("%.40q is not a line of iptables-save", line)
	}
	return nil
}

// isCommand reports whether line is of a script that calls iptables. Such a script may have variables, loops and
// conditions: only the kernel knows what becomes of it.
func isCommand(line string) bool {
	program, _, _ := strings.Cut(strings.TrimPrefix(line, "sudo "), " ")
	return command().MatchString(program)
}

var command = form.New(`^(.*/)?ip6?tables(-nft|-legacy)?$`)

// guessFamily looks for an address in the rules of a table.
func guessFamily(lines []string) string {
	for _, line := range lines {
		if line = strings.TrimSpace(line); line == "COMMIT" || strings.HasPrefix(line, "*") {
			break
		}
		for _, word := range words(line) {
			if strings.Count(word, ":") >= 2 && len(addresses(word, "ip6")) > 0 {
				return "ip6"
			}
		}
	}
	return "ip"
}

// chain reads "PREROUTING ACCEPT [0:0]". The policy of a chain that somebody made is "-".
func (r *reader) chain(fields []string) error {
	if len(fields) < 2 {
		return fmt.Errorf("a chain has a name and a policy, such as :PREROUTING ACCEPT [0:0]")
	}
	c := r.find(fields[0])
	if fields[1] == "DROP" {
		c.Policy = ruleset.Drop
	}
	return nil
}

// find returns a chain of the current table, new if it was not met before.
func (r *reader) find(name string) *ruleset.Chain {
	for _, c := range r.all.Chains {
		if c.Family == r.family && c.Table == r.table && c.Name == name {
			return c
		}
	}
	c := &ruleset.Chain{Family: r.family, Table: r.table, Name: name, Owner: ruleset.OwnerOf("", name), Policy: ruleset.Accept}
	if c.Hook = hooks[name]; c.Hook != "" {
		c.Kind, c.Priority, c.Owner = "filter", priorities[r.table], ""
		if r.table == "nat" {
			c.Kind = "nat"
		}
	}
	r.all.Chains = append(r.all.Chains, c)
	return c
}

var hooks = map[string]string{
	"PREROUTING": "prerouting", "INPUT": "input", "FORWARD": "forward", "OUTPUT": "output", "POSTROUTING": "postrouting",
}

// priorities are those of NF_IP_PRI_*, for prerouting.
var priorities = map[string]int{"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}

// rule reads "-A CHAIN …". A chain need not be declared before, so that a part of a file can be imported.
func (r *reader) rule(number int, line string) error {
	all := words(line)
	if len(all) < 2 {
		return fmt.Errorf("-A without a chain")
	}
	c := r.find(all[1])
	p := parser{rest: all[2:], family: r.family, sets: r.sets}
	p.rule.Number, p.rule.Line, p.rule.Text = len(c.Rules)+1, number, line
	p.parse()
	c.Rules = append(c.Rules, &p.rule)
	return nil
}
