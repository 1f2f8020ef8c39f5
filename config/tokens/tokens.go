package tokens

import (
	"iter"
	"strings"
)

// Kind says what a token is.
type Kind uint8

// The kinds.
const (
	Newline Kind = iota // "\n" or "\r\n"
	Blank               // spaces and tabs
	Comment             // from # to the end of its line, without that
	String              // of any of the four kinds, with its quotes
	Mark                // one of [ ] { } , =
	Word                // anything else: parts of keys, numbers, times, true
)

// A Token is a part of a text.
type Token struct {
	Kind Kind
	Text string
}

// Of yields the tokens of a text. A string without an end is what its line holds, or only its quotes if
// these may span lines: what follows is not hidden in it.
func Of(text string) iter.Seq[Token] {
	return func(yield func(Token) bool) {
		for text != "" {
			kind, n := first(text)
			if !yield(Token{kind, text[:n]}) {
				return
			}
			text = text[n:]
		}
	}
}

// first is the kind of the first token of a text, and its length, at least 1.
func first(text string) (Kind, int) {
	switch text[0] {
	case '\n':
		return Newline, 1
	case '\r':
		if strings.HasPrefix(text, "\r\n") {
			return Newline, 2
		}
	case ' ', '\t':
		return Blank, len(text) - len(strings.TrimLeft(text, " \t"))
	case '#':
		return Comment, lineLength(text)
	case '"', '\'':
		return String, stringLength(text)
	case '[', ']', '{', '}', ',', '=':
		return Mark, 1
	}
	if end := strings.IndexAny(text[1:], "\r\n \t#\"'[]{},="); end >= 0 {
		return Word, 1 + end
	}
	return Word, len(text)
}

// lineLength is the length of the first line without its end, which may be \r\n.
func lineLength(text string) int {
	line, _, ended := strings.Cut(text, "\n")
	if ended {
		line = strings.TrimSuffix(line, "\r")
	}
	return len(line)
}

// stringLength is the length of the string that begins a text.
func stringLength(text string) int {
	quote := text[:1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(text, long) {
		end := closing(text, len(long), long)
		if end < 0 {
			return len(long)
		}
		for extra := 0; extra < 2 && strings.HasPrefix(text[end:], quote); extra++ {
			end++ // up to two quotes before the last three belong to the string
		}
		return end
	}
	line := text[:lineLength(text)]
	if end := closing(line, 1, quote); end >= 0 {
		return end
	}
	return len(line)
}

// closing is the offset behind the closing quotes of a string whose content begins at from; -1: there are none.
func closing(text string, from int, quotes string) int {
	for i := from; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quotes[0] == '"':
			i++
		case strings.HasPrefix(text[i:], quotes):
			return i + len(quotes)
		}
	}
	return -1
}
