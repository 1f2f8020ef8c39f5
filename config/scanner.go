package config

import (
	"fmt"
	"strconv"
	"strings"
)

// A scanner walks over a text that is known to be TOML. On anything else it stops
// early and never fails: positions are a help, no judge.
type scanner struct {
	text string
	pos  int
	line int
	lines
}

func scan(text string) lines {
	s := scanner{text: text, line: 1, lines: lines{map[string]int{}, map[string][]int32{}}}
	s.skip("\ufeff")
	table := ""
	for s.blank(); s.peek() != 0; s.blank() {
		start := s.pos
		if s.peek() == '[' {
			table = s.header()
		} else {
			s.pair(table)
		}
		if s.pos == start {
			break
		}
	}
	return s.lines
}

// header reads [table] or [[table]]; it is where the table stands, even if a
// subtable named it earlier.
func (s *scanner) header() string {
	line := s.line
	s.skip("[")
	s.skip("[")
	path := s.key("")
	s.skip("]")
	s.skip("]")
	s.keys[path] = line
	return path
}

func (s *scanner) pair(table string) {
	path := s.key(table)
	s.skip("=")
	s.spaces()
	s.value(path)
}

// key reads a key, dotted or not, below path, and what blanks surround it.
func (s *scanner) key(path string) string {
	for {
		s.spaces()
		path = join(path, s.keyPart())
		if _, known := s.keys[path]; !known {
			s.keys[path] = s.line
		}
		s.spaces()
		if !s.skip(".") {
			return path
		}
	}
}

func (s *scanner) keyPart() string {
	start := s.pos
	switch s.peek() {
	case '\'':
		s.quoted()
		return strings.Trim(s.text[start:s.pos], "'")
	case '"':
		s.quoted()
		if key, err := strconv.Unquote(s.text[start:s.pos]); err == nil {
			return key
		}
		return s.text[start:s.pos]
	}
	for isBare(s.peek()) {
		s.pos++
	}
	return s.text[start:s.pos]
}

func (s *scanner) value(path string) {
	switch s.peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		s.array(path)
	case '{':
		s.inlineTable(path)
	default:
		for c := s.peek(); c != 0 && !strings.ContainsRune(",]}#\n", rune(c)); c = s.peek() {
			s.pos++
		}
	}
}

func (s *scanner) array(path string) {
	var elements []int32
	s.pos++
	for s.blank(); s.peek() != 0 && !s.skip("]"); s.blank() {
		if s.skip(",") {
			continue
		}
		element, start := "", s.pos
		if s.peek() == '{' { // alone can hold keys; a path for every nested list would grow with its depth
			element = fmt.Sprintf("%s[%d]", path, len(elements))
		}
		elements = append(elements, int32(s.line))
		if s.value(element); s.pos == start {
			break
		}
	}
	if path != "" {
		s.elements[path] = elements
	}
}

func (s *scanner) inlineTable(path string) {
	s.pos++
	for s.blank(); s.peek() != 0 && !s.skip("}"); s.blank() {
		if s.skip(",") {
			continue
		}
		start := s.pos
		if s.pair(path); s.pos == start {
			break
		}
	}
}

// quoted steps over a string of any of the four kinds.
func (s *scanner) quoted() {
	quote := s.text[s.pos : s.pos+1]
	end := quote
	if strings.HasPrefix(s.text[s.pos:], strings.Repeat(quote, 3)) {
		end = strings.Repeat(quote, 3)
	}
	s.pos += len(end)
	for s.peek() != 0 && !s.skip(end) {
		if s.peek() == '\\' && quote == `"` {
			s.step()
		}
		s.step()
	}
	// Up to two more quotes belong to the text: `"""so "quoted""""`.
	for extra := 0; len(end) == 3 && extra < 2 && s.skip(quote); extra++ {
	}
}

// blank steps over spaces, newlines and comments.
func (s *scanner) blank() {
	for {
		switch s.peek() {
		case ' ', '\t', '\r', '\n':
			s.step()
		case '#':
			for c := s.peek(); c != 0 && c != '\n'; c = s.peek() {
				s.pos++
			}
		default:
			return
		}
	}
}

func (s *scanner) spaces() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.pos++
	}
}

// peek is the next byte, or 0 at the end: TOML has no NUL.
func (s *scanner) peek() byte {
	if s.pos >= len(s.text) {
		return 0
	}
	return s.text[s.pos]
}

func (s *scanner) step() {
	if s.peek() == '\n' {
		s.line++
	}
	s.pos = min(s.pos+1, len(s.text))
}

func (s *scanner) skip(prefix string) bool {
	found := strings.HasPrefix(s.text[s.pos:], prefix)
	if found {
		s.pos += len(prefix)
	}
	return found
}
