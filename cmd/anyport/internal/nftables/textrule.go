package nftables

import "strings"

// mostStatements is more than the kernel takes.
const mostStatements = 512

// read reads the statements of a rule.
func (r *rule) read(c *cursor) error {
	for c.more() {
		if len(r.statements) > mostStatements {
			return c.errorf("the rule has more statements than nft allows")
		}
		begin := c.at
		if c.look(0) == "comment" {
			c.take()
			r.comment = unquoted(c.take())
			continue
		}
		s, err := c.statement()
		if err != nil {
			return err
		}
		if c.at == begin {
			return c.errorf("%.40q is not a statement of a rule", c.look(0))
		}
		if s.text == "" {
			s.text = c.between(begin, c.at)
		}
		r.statements = append(r.statements, s)
	}
	return nil
}

// statement reads the next statement by its first words. What none of the cases knows is read as a match, which is left
// with a reason if it is none.
func (c *cursor) statement() (statement, error) {
	if s, is := c.verdict(); is {
		return s, nil
	}
	switch first := c.look(0); {
	case first == "tproxy" || first == "redirect" || first == "dnat":
		return c.target(), nil
	case first == "snat" || first == "masquerade":
		c.target()
		return statement{verb: accept}, nil
	case first == "ct" && c.look(1) == "count":
		return c.unknown("ct count"), nil
	case first == "ct" && c.look(2) == "set" && c.look(1) != "mark":
		c.unknown("")
		return statement{verb: nothing}, nil
	case first == "add" || first == "update" || first == "delete":
		name := strings.Trim(c.look(1), `@"`)
		s := c.unknown(first)
		s.right = &expression{kind: reference, text: name}
		return s, nil
	case first == "notrack":
		c.take()
		return statement{verb: untrack}, nil
	case first == "xt":
		kind, name := c.look(1), unquoted(c.look(2))
		c.words(3)
		return extension(kind, name), nil
	case quiet[first] != nil:
		quiet[first](c)
		return statement{verb: nothing}, nil
	}
	return c.condition()
}

// verdict reads a verdict: "drop", "jump CHAIN", "reject with tcp reset".
func (c *cursor) verdict() (statement, bool) {
	v, is := verdictWords[c.look(0)]
	if !is || c.kind() != 'w' {
		return statement{}, false
	}
	begin := c.at
	c.take()
	s := statement{verb: v}
	switch {
	case v == jump || v == goes:
		s.chain = unquoted(c.take())
	case v == reject && c.skip("with"):
		c.take()
		c.skip("type")
		c.take()
	}
	s.text = c.between(begin, c.at)
	return s, true
}

var verdictWords = map[string]verb{
	"accept": accept, "drop": drop, "reject": reject, "continue": goOn, "return": leave, "jump": jump, "goto": goes,
}

// quiet are the statements that have no part in where a packet goes. Each function takes one.
var quiet = map[string]func(*cursor){
	"counter": func(c *cursor) {
		c.take()
		for c.look(0) == "packets" || c.look(0) == "bytes" || c.look(0) == "name" {
			c.words(2)
		}
	},
	"log": func(c *cursor) {
		for c.take(); logOptions[c.look(0)]; {
			c.words(2)
			for c.kind() == ',' || c.look(0) == "sequence" || c.look(0) == "options" {
				c.words(2)
			}
		}
	},
	"flow": func(c *cursor) { c.words(3) },
	"dup": func(c *cursor) {
		c.words(3)
		if c.skip("device") {
			c.take()
		}
	},
	"reset": func(c *cursor) { c.words(4) },
	"last": func(c *cursor) {
		c.take()
		if c.skip("used") && !c.skip("never") {
			c.take()
		}
	},
}

var logOptions = setOf("prefix group level flags snaplen queue-threshold")

// starters are the words that a statement begins with, and no condition does. What is not understood
// ends before one of them.
var starters = setOf("accept drop reject continue return jump goto counter log limit tproxy redirect dnat snat masquerade comment xt " +
	"meta tcp udp ip ip6 ct fib iifname iif socket")

// unknown reads on to the next statement. Without the grammar of what it passes it can only guess where
// that begins; a wrong guess makes more of the rule unknown, and none of it known.
func (c *cursor) unknown(name string) statement {
	reason := reasonOf(name)
	s := statement{verb: reason.verb, reason: reason.text}
	for depth := 0; c.more(); {
		switch c.kind() {
		case '{':
			depth++
		case '}':
			depth--
		}
		c.at++
		if depth <= 0 && c.kind() == 'w' && starters[c.look(0)] {
			break
		}
	}
	return s
}

// condition reads what a rule asks, a map of verdicts, or a change.
func (c *cursor) condition() (statement, error) {
	first := c.look(0)
	left := c.expression()
	if left == nil {
		return c.unknown(first), nil
	}
	switch {
	case c.skip("set"):
		return statement{verb: change, left: left, right: c.changed()}, nil
	case c.skip("vmap"):
		return statement{verb: verdicts, left: left, right: c.valueOrNothing()}, nil
	}
	s := statement{verb: match, left: left, sign: "=="}
	if sign := c.look(0); comparisons[sign] {
		s.sign = c.take()
	} else if left.text == "tcp flags" {
		s.sign = "in" // one of them is enough, "==" asks for all
	}
	if c.kind() == '{' {
		elements, changing, err := c.elements()
		if changing != "" {
			return statement{verb: asks, reason: changing}, err
		}
		s.right = &expression{kind: list, elements: elements}
		return s, err
	}
	s.right = c.valueOrNothing()
	for s.right.kind == literal && c.kind() == ',' {
		s.right = word(s.right.text + c.take() + c.take()) // flags
	}
	if c.skip("/") { // flags / mask
		s.left = &expression{kind: operation, text: "&", args: []*expression{left, word(c.parenthesis())}}
		if s.sign == "in" {
			s.sign = "=="
		}
	}
	return s, nil
}

var comparisons = setOf("== != < > <= >= !")

// changed reads what something is set to.
func (c *cursor) changed() *expression {
	e := c.selectors()
	if e == nil {
		return c.operations(c.valueOrNothing())
	}
	if c.skip("map") {
		return &expression{kind: lookup, args: []*expression{e, c.valueOrNothing()}}
	}
	return c.operations(e)
}

// valueOrNothing is a value, opaque where none stands there.
func (c *cursor) valueOrNothing() *expression {
	if e := c.value(); e != nil {
		return e
	}
	return &expression{kind: opaque}
}
