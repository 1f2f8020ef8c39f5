package nftables

import "strings"

// expression reads selectors, and operations on them: "meta mark & 0xff". It returns nil, and takes
// nothing, if no selector stands there.
func (c *cursor) expression() *expression {
	e := c.selectors()
	if e == nil {
		return nil
	}
	return c.operations(e)
}

// operations reads what is done to e, from left to right.
func (c *cursor) operations(e *expression) *expression {
	for n := 0; ; n++ {
		sign, is := signs[c.look(0)]
		if !is || n == mostOperations {
			return e
		}
		c.take()
		right := c.selectors()
		if right == nil {
			right = word(c.parenthesis())
		}
		e = &expression{kind: operation, text: sign, args: []*expression{e, right}}
	}
}

// mostOperations bounds how deep an expression is: nft prints two.
const mostOperations = 64

// signs of operations, with the words that nft takes for them.
var signs = map[string]string{"&": "&", "|": "|", "^": "^", "<<": "<<", ">>": ">>", "and": "&", "or": "|", "xor": "^"}

// parenthesis reads an operand: a word, words with commas, or "(syn | ack)".
func (c *cursor) parenthesis() string {
	text := c.take()
	for c.more() && (strings.HasPrefix(text, "(") && !strings.HasSuffix(text, ")") || c.kind() == ',' || strings.HasSuffix(text, ",")) {
		text += c.take()
	}
	return text
}

// selectors reads a selector, or a concatenation of some.
func (c *cursor) selectors() *expression {
	first := c.selector()
	if first == "" {
		return nil
	}
	e := &expression{kind: selector, text: first}
	for c.look(0) == "." {
		begin := c.at
		c.take()
		next := c.selector()
		if next == "" {
			c.at = begin
			break
		}
		if e.kind != concat {
			e = &expression{kind: concat, args: []*expression{e}}
		}
		e.args = append(e.args, &expression{kind: selector, text: next})
	}
	return e
}

// selector reads what is looked at, and returns it as nft prints it, "" if nothing such stands there.
func (c *cursor) selector() string {
	first := c.look(0)
	switch {
	case first == "meta":
		c.take()
		return metaKey(c.take())
	case metaKeys[first]:
		return metaKey(c.take())
	case first == "fib":
		return c.fib()
	case first == "ct" || first == "rt" && inetFamily(c.look(1)) || first == "ipsec":
		return c.directed()
	case strings.HasPrefix(first, "@") && c.at+1 < len(c.tokens) && c.tokens[c.at+1].kind == ',':
		return c.words(5)
	case first == "tcp" && c.look(1) == "option", first == "ip" && c.look(1) == "option", first == "sctp" && c.look(1) == "chunk",
		first == "dccp" && c.look(1) == "option":
		return c.optional()
	case first == "socket" && c.look(1) == "cgroupv2":
		return c.words(4)
	case first == "numgen" || first == "symhash" || first == "jhash":
		return c.hash()
	case first == "osf" && c.look(1) == "ttl":
		return c.words(4)
	case protocols[first] || first == "socket" || first == "osf" || first == "exthdr" || first == "tunnel":
		return c.words(2)
	}
	return ""
}

// words takes n tokens.
func (c *cursor) words(n int) string {
	begin := c.at
	c.at = min(c.at+n, len(c.tokens))
	return c.between(begin, c.at)
}

// metaKey is how nft prints a key of meta.
func metaKey(key string) string {
	switch key {
	case "iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup":
		return key
	}
	return "meta " + key
}

// metaKeys may stand without "meta".
var metaKeys = setOf("iif oif iifname oifname iifgroup oifgroup iiftype oiftype mark skuid skgid cgroup pkttype rtclassid nftrace cpu " +
	"ibrname obrname")

// protocols have headers that rules look at.
var protocols = setOf("ether vlan arp ip ip6 icmp icmpv6 igmp tcp udp udplite dccp sctp th ah esp comp gre geneve gretap vxlan " +
	"hbh dst frag mh srh rt")

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

func inetFamily(word string) bool { return word == "ip" || word == "ip6" }

// fib reads "fib daddr . iif type".
func (c *cursor) fib() string {
	begin := c.at
	for c.at += 2; c.look(0) == "."; c.at += 2 {
	}
	c.at = min(c.at+1, len(c.tokens))
	return c.between(begin, c.at)
}

// directed reads keys with a direction and a family before them: "ct original ip daddr".
func (c *cursor) directed() string {
	begin := c.at
	c.take()
	for c.skip("original") || c.skip("reply") || c.skip("in") || c.skip("out") || c.skip("ip") || c.skip("ip6") {
	}
	if c.skip("spnum") {
		c.take()
		_ = c.skip("ip") || c.skip("ip6")
	}
	c.take()
	return c.between(begin, c.at)
}

// optional reads "tcp option maxseg size". The field may be left out.
func (c *cursor) optional() string {
	begin := c.at
	c.words(3)
	if next := c.look(0); c.kind() == 'w' && next != "exists" && next != "missing" && next != "set" && !starters[next] {
		c.take()
	}
	return c.between(begin, c.at)
}

// hash reads "jhash ip saddr . tcp sport mod 2 seed 0x1 offset 3".
func (c *cursor) hash() string {
	begin := c.at
	for c.take(); c.more() && c.look(0) != "mod" && c.kind() == 'w'; {
		c.take()
	}
	if c.skip("mod") {
		c.take()
	}
	for c.look(0) == "seed" || c.look(0) == "offset" {
		c.words(2)
	}
	return c.between(begin, c.at)
}

// value reads a constant: a word, some with dots between them, a set, or the name of one.
func (c *cursor) value() *expression {
	switch first := c.look(0); {
	case c.kind() == '{':
		elements, _, err := c.elements()
		if err != nil {
			return &expression{kind: opaque, text: err.Error()}
		}
		return &expression{kind: list, elements: elements}
	case strings.HasPrefix(first, "@"):
		return &expression{kind: reference, text: strings.Trim(c.take()[1:], `"`)}
	}
	e := c.literal()
	for e != nil && c.skip(".") {
		next := c.literal()
		if next == nil {
			return nil
		}
		if e.kind != concat {
			e = &expression{kind: concat, args: []*expression{e}}
		}
		e.args = append(e.args, next)
	}
	return e
}

// literal reads a word or string, nil if none stands there.
func (c *cursor) literal() *expression {
	switch c.kind() {
	case 'w':
		return word(c.take())
	case '"':
		e := &expression{kind: literal, text: unquoted(c.take()), quoted: true}
		if c.look(0) == "-" { // "10:00"-"12:00"
			c.take()
			e.text += "-" + unquoted(c.take())
		}
		return e
	}
	return nil
}
