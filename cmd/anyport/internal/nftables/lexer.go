package nftables

import (
	"fmt"
	"strings"
)

// token is a piece of the text. Its kind is 'w' for a word, '"' for a string, '\n', or the brace,
// comma or semicolon itself.
type token struct {
	begin, end uint32
	line       uint32
	kind       byte
}

// lexer is how far the text was split.
type lexer struct {
	text   string
	at     int
	line   uint32
	tokens []token
}

// split returns the tokens of text, without comments.
func split(text string) ([]token, error) {
	l := lexer{text: text, line: 1}
	for l.at < len(text) {
		if err := l.next(); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.line, err)
		}
	}
	return l.tokens, nil
}

// next adds one token. A word ends at a brace, comma or semicolon, so that { 80, 443 } and 1-1023 need no grammar here:
// ranges, prefixes and ports stay one word. A backslash joins lines, as in a file that somebody has written.
func (l *lexer) next() error {
	switch c := l.text[l.at]; {
	case c == '\n':
		l.add('\n', 1)
		l.line++
	case strings.IndexByte(" \t\r\v\f", c) >= 0:
		l.at++
	case c == '#':
		l.at += length(l.text[l.at:], "\n")
	case c == '"':
		end := strings.IndexAny(l.text[l.at+1:], "\"\n")
		if end < 0 || l.text[l.at+1+end] == '\n' {
			return fmt.Errorf("a quoted string has no end")
		}
		l.add('"', end+2)
	case strings.IndexByte("{},;", c) >= 0:
		l.add(c, 1)
	case c == '\\' && strings.HasPrefix(l.text[l.at+1:], "\n"):
		l.at += 2
		l.line++
	default:
		l.add('w', length(l.text[l.at:], " \t\r\v\f\n\"{},;"))
	}
	return nil
}

// add appends a token of this length. Offsets instead of strings keep a token at 16 bytes: an input has millions.
func (l *lexer) add(kind byte, length int) {
	l.tokens = append(l.tokens, token{uint32(l.at), uint32(l.at + length), l.line, kind})
	l.at += length
}

// length returns how much of s stands before the first of the characters in ends.
func length(s, ends string) int {
	if end := strings.IndexAny(s, ends); end >= 0 {
		return end
	}
	return len(s)
}
