package haproxy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// splitter cuts a line into words, as HAProxy's parse_line does. Section 2.2 of its manual has the
// rules for quotes and escapes.
type splitter struct {
	env     func(string) (string, bool)
	unset   []string // variables without a value
	words   []string
	word    strings.Builder
	started bool // a word has begun, which may be an empty one in quotes
}

// errQuote is a quote without an end.
var errQuote = errors.New("a quote has no end on its line: add it")

// split returns the words of a line. A comment is none of them.
func (s *splitter) split(line string) ([]string, error) {
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quote != '\'':
			i += s.escape(line[i:], quote)
		case quote == 0 && (c == '"' || c == '\'') || quote == c:
			quote = c ^ quote // the same one ends it
			s.started = true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\r'):
			s.end()
		case quote == 0 && c == '#':
			s.end()
			return s.words, nil
		case quote == '"' && c == '$':
			n, err := s.variable(line[i:])
			if err != nil {
				return nil, err
			}
			i += n
		default:
			s.add(c)
		}
	}
	if quote != 0 {
		return nil, errQuote
	}
	s.end()
	return s.words, nil
}

func (s *splitter) add(c byte) {
	s.word.WriteByte(c)
	s.started = true
}

func (s *splitter) end() {
	if s.started {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.started = false
}

// escapes are what a letter after a backslash stands for.
var escapes = map[byte]byte{' ': ' ', '\\': '\\', '#': '#', '"': '"', '\'': '\'', 'n': '\n', 'r': '\r', 't': '\t'}

// escape adds what rest begins with, a backslash, and returns how many bytes follow the backslash. A
// backslash before any other letter is one: regular expressions need it.
func (s *splitter) escape(rest string, quote byte) int {
	if len(rest) >= 4 && rest[1] == 'x' {
		if n, err := strconv.ParseUint(rest[2:4], 16, 8); err == nil {
			s.add(byte(n))
			return 3
		}
	}
	if len(rest) >= 2 {
		c, known := escapes[rest[1]]
		if quote == '"' && rest[1] == '$' {
			c, known = '$', true
		}
		if known {
			s.add(c)
			return 1
		}
	}
	s.add('\\')
	return 0
}

// variable adds the value of "$NAME", "${NAME}" or "${NAME-default}", and returns how many bytes
// follow the dollar.
func (s *splitter) variable(rest string) (int, error) {
	name, fallback, hasFallback, length := rest[1:], "", false, 0
	if strings.HasPrefix(name, "{") {
		inner, _, closed := strings.Cut(name[1:], "}")
		if !closed {
			return 0, errors.New("${ has no } on its line: add it")
		}
		length = len(inner) + 2
		name, fallback, hasFallback = strings.Cut(inner, "-")
		name = strings.TrimSuffix(name, "[*]")
	} else {
		name = name[:len(name)-len(strings.TrimLeft(name, nameLetters))]
		length = len(name)
	}
	if name == "" || strings.Trim(name, nameLetters) != "" {
		return 0, fmt.Errorf(`%.20q is not the name of a variable: write "\$" for a dollar`, rest)
	}
	value, set := s.env(name)
	if !set {
		value = fallback
	}
	if !set && !hasFallback {
		s.unset = append(s.unset, name)
	}
	s.word.WriteString(value)
	s.started = true
	return length, nil
}

// nameLetters are what names of variables consist of.
const nameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
