package nftables

import (
	"strconv"
	"strings"
)

func (t *table) chain(part *cursor) error {
	part.take()
	c := t.find(unquoted(part.take()))
	if part.kind() != '{' {
		return part.errorf("chain %.40q has no block in braces", c.name)
	}
	return each(part.block(), false, func(line *cursor) error { return c.line(t, line) })
}

// line reads a rule, or a part of what makes a base chain.
func (c *chain) line(t *table, line *cursor) error {
	switch begin := line.look(0); {
	case begin == "type" && line.look(2) == "hook":
		return c.base(line)
	case begin == "policy":
		c.drop = line.look(1) == "drop"
	case begin == "comment" || begin == "devices" || begin == "flags":
	default:
		r := &rule{line: line.line()}
		hidden := t.hides(line)
		if err := r.read(line.flat()); err != nil {
			return err
		}
		if hidden {
			// A rule with a verdict has all of its target. One without may hide that, and it may be TPROXY.
			r.statements = append([]statement{{verb: asks, reason: hiddenReason}}, r.statements...)
			r.statements = append(r.statements, statement{verb: tproxy, reason: hiddenReason})
		}
		c.rules = append(c.rules, r)
	}
	return nil
}

// base reads "type filter hook prerouting priority mangle + 5".
func (c *chain) base(line *cursor) error {
	line.take()
	c.kind = line.take()
	line.take()
	c.hook = line.take()
	for line.more() && !line.skip("priority") {
		line.take() // the devices of an ingress
	}
	name := line.take()
	priority, known := priorities[name]
	if !known {
		number, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			return line.errorf("chain %.40q: the priority %.40q is neither a number nor a name that nft has", c.name, name)
		}
		priority = int(number)
	}
	offset, err := strconv.ParseInt(strings.ReplaceAll(line.take()+line.take(), "+", ""), 10, 32)
	if err == nil {
		priority += int(offset)
	}
	c.priority = priority
	return nil
}

// priorities of the families ip, ip6 and inet.
var priorities = map[string]int{"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100, "out": 100}

// hides reports whether nft left a part of a rule out: it prints nothing for an extension of iptables
// that it finds no translation for, and the blanks around it remain. Only tables of iptables have them;
// each rule there counts its packets.
func (t *table) hides(line *cursor) bool {
	if !t.isIPTables() || !line.has("counter") {
		return false
	}
	for i := 1; i < len(line.tokens); i++ {
		if line.tokens[i].begin-line.tokens[i-1].end > 1 && line.tokens[i].line == line.tokens[i-1].line {
			return true
		}
	}
	if strings.HasSuffix(line.text[:line.tokens[0].begin], "\t ") { // nft indents by tabs
		return true
	}
	rest := line.text[line.tokens[len(line.tokens)-1].end:]
	return strings.HasPrefix(rest, " \n") || strings.HasPrefix(rest, "  #")
}

func (c *cursor) has(word string) bool {
	for i := range c.tokens {
		if t := c.tokens[i]; c.text[t.begin:t.end] == word {
			return true
		}
	}
	return false
}

// isIPTables reports whether the table has a name that iptables-nft gives.
func (t *table) isIPTables() bool {
	if t.managed {
		return true
	}
	switch t.name {
	case "filter", "nat", "mangle", "raw", "security":
		return t.family == "ip" || t.family == "ip6"
	}
	return false
}
