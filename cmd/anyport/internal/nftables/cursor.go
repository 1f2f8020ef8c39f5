package nftables

import (
	"fmt"
	"slices"
)

// cursor goes through some tokens. Strings keep their quotes, so that none is taken for a keyword.
type cursor struct {
	text   string
	tokens []token
	at     int
}

func (c *cursor) more() bool { return c.at < len(c.tokens) }

// look returns the token n places ahead, "" past the end.
func (c *cursor) look(n int) string {
	if c.at+n >= len(c.tokens) {
		return ""
	}
	t := c.tokens[c.at+n]
	return c.text[t.begin:t.end]
}

func (c *cursor) take() string {
	word := c.look(0)
	if c.more() {
		c.at++
	}
	return word
}

// skip goes past the next token if it is this one.
func (c *cursor) skip(word string) bool {
	is := c.more() && c.look(0) == word
	if is {
		c.at++
	}
	return is
}

// kind is that of the next token, 0 past the end.
func (c *cursor) kind() byte {
	if !c.more() {
		return 0
	}
	return c.tokens[c.at].kind
}

// line is the number of the line that the next token stands on, or the last one did.
func (c *cursor) line() int {
	if len(c.tokens) == 0 {
		return 1
	}
	return int(c.tokens[min(c.at, len(c.tokens)-1)].line)
}

// errorf is an error that begins with the line, by which a user finds the place in nft's output.
func (c *cursor) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{c.line()}, args...)...)
}

// part takes what stands up to the end of the line or a semicolon, braces whole: one part of a block,
// or with toBrace one block. It returns false at the end.
func (c *cursor) part(toBrace bool) (cursor, bool, error) {
	for c.kind() == '\n' || c.kind() == ';' {
		c.at++
	}
	begin, depth := c.at, 0
	for ; c.more(); c.at++ {
		switch kind := c.kind(); {
		case kind == '{':
			depth++
		case kind == '}' && depth == 0:
			return cursor{}, false, c.errorf("a } without its {")
		case kind == '}':
			depth--
		}
		if depth == 0 && (c.kind() == '\n' || c.kind() == ';') {
			break
		}
		if depth == 0 && toBrace && c.kind() == '}' {
			c.at++
			break
		}
	}
	whole := cursor{text: c.text, tokens: c.tokens[begin:c.at]}
	if depth > 0 {
		return whole, false, whole.errorf("a { without its }")
	}
	return whole, begin < c.at, nil
}

// block returns what stands between the braces that the part ends with.
func (c *cursor) block() cursor {
	for c.more() && !c.skip("{") {
		c.at++
	}
	inner := cursor{text: c.text, tokens: c.tokens[c.at:]}
	if last := len(inner.tokens) - 1; last >= 0 {
		inner.tokens = inner.tokens[:last]
	}
	return inner
}

// flat returns the cursor without the ends of lines, which stand only inside of braces.
func (c *cursor) flat() *cursor {
	if slices.ContainsFunc(c.tokens, func(t token) bool { return t.kind == '\n' }) {
		c.tokens = slices.DeleteFunc(slices.Clone(c.tokens), func(t token) bool { return t.kind == '\n' })
	}
	return c
}

// between returns the text of tokens, a blank between any two.
func (c *cursor) between(begin, end int) string {
	if begin >= end {
		return ""
	}
	return shorten(c.text[c.tokens[begin].begin:c.tokens[end-1].end])
}
