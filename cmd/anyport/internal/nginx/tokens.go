package nginx

import (
	"errors"
	"strings"
)

// token is a word, or one of ; { and }. A quoted word is never one of these.
type token struct {
	text   string
	quoted bool
	line   int
}

// is reports whether t is a mark, and not a word that looks like it.
func (t token) is(mark string) bool { return !t.quoted && t.text == mark }

// lexer cuts a text into tokens as ngx_conf_read_token does.
type lexer struct {
	text string
	at   int
	line int
}

// errEnd is the end of the text.
var errEnd = errors.New("the file ends")

// next is the next token; errEnd if there is none.
func (l *lexer) next() (token, error) {
	l.skip()
	if l.at >= len(l.text) {
		return token{line: l.line}, errEnd
	}
	switch c := l.text[l.at]; c {
	case ';', '{', '}':
		l.at++
		return token{string(c), false, l.line}, nil
	case '"', '\'':
		return l.quoted(c)
	}
	return l.word(), nil
}

// skip passes white space and comments.
func (l *lexer) skip() {
	for ; l.at < len(l.text); l.at++ {
		switch l.text[l.at] {
		case '\n':
			l.line++
		case ' ', '\t', '\r':
		case '#':
			end := strings.IndexByte(l.text[l.at:], '\n')
			if end < 0 {
				l.at = len(l.text)
				return
			}
			l.at += end - 1
		default:
			return
		}
	}
}

// word reads up to white space, a semicolon or a brace. The brace of ${name} belongs to the word.
func (l *lexer) word() token {
	t := token{line: l.line}
	var b strings.Builder
	for ; l.at < len(l.text); l.at++ {
		c := l.text[l.at]
		switch {
		case c == '\\' && l.at+1 < len(l.text):
			l.escape(&b)
			continue
		case c == '{' && l.at > 0 && l.text[l.at-1] == '$' && b.Len() > 0:
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';' || c == '{':
			t.text = b.String()
			return t
		}
		b.WriteByte(c)
	}
	t.text = b.String()
	return t
}

// quoted reads up to the same quote.
func (l *lexer) quoted(quote byte) (token, error) {
	t := token{line: l.line, quoted: true}
	var b strings.Builder
	for l.at++; l.at < len(l.text); l.at++ {
		switch c := l.text[l.at]; c {
		case '\\':
			if l.at+1 < len(l.text) {
				l.escape(&b)
			}
		case quote:
			l.at++
			t.text = b.String()
			return t, nil
		case '\n':
			l.line++
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return t, errors.New("a quote has no end: add it")
}

// escape writes what a backslash and the next letter stand for. A backslash before a letter without
// a meaning stays: regular expressions need it.
func (l *lexer) escape(b *strings.Builder) {
	l.at++
	switch c := l.text[l.at]; c {
	case '"', '\'', '\\':
		b.WriteByte(c)
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'n':
		b.WriteByte('\n')
	default:
		if c == '\n' {
			l.line++
		}
		b.WriteByte('\\')
		b.WriteByte(c)
	}
}

// raw passes a block of another language, such as Lua, up to the brace that ends it.
func (l *lexer) raw() error {
	for depth := 1; l.at < len(l.text); l.at++ {
		switch l.text[l.at] {
		case '\n':
			l.line++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				l.at++
				return nil
			}
		}
	}
	return errEnd
}
