package config

import (
	"fmt"
	"strconv"
	"strings"
)

// A scanner walks over a text that is known to be TOML. On anything else it stops
// early and never fails: positions are a help, no judge.
type scanner struct {
	*positions
	pos    int
	arrays map[string]int // how many [[tables]] of a name there were
}

func scan(text string) *positions {
	s := scanner{positions: &positions{text: text, keys: map[string]place{}, elements: map[string][]span{}}, arrays: map[string]int{}}
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
	return s.positions
}

// header reads [table] or [[table]]; it is where the table stands, even if a
// subtable named it earlier. The third [[table]] is table[2], also.
func (s *scanner) header() string {
	s.skip("[")
	array := s.skip("[")
	s.spaces()
	start := s.pos
	path := s.readKey("")
	at := place{key: span{int32(start), int32(start + len(strings.TrimRight(s.text[start:s.pos], " \t")))}}
	s.skip("]")
	s.skip("]")
	s.keys[path] = at
	if array {
		s.arrays[path]++
		path = fmt.Sprintf("%s[%d]", path, s.arrays[path]-1)
		s.keys[path] = at
	}
	return path
}

func (s *scanner) pair(table string) {
	path := s.readKey(table)
	at := s.keys[path]
	s.skip("=")
	s.spaces()
	start := s.pos
	s.readValue(path)
	if at.value.empty() {
		at.value = span{int32(start), int32(start + len(strings.TrimRight(s.text[start:s.pos], " \t\r")))}
		s.keys[path] = at
	}
}

// readKey reads a key, dotted or not, below path, and what blanks surround it.
func (s *scanner) readKey(path string) string {
	for {
		s.spaces()
		start := s.pos
		path = join(path, s.keyPart())
		if _, known := s.keys[path]; !known {
			s.keys[path] = place{key: span{int32(start), int32(s.pos)}}
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

func (s *scanner) readValue(path string) {
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
	var elements []span
	s.pos++
	for s.blank(); s.peek() != 0 && !s.skip("]"); s.blank() {
		if s.skip(",") {
			continue
		}
		element, start := "", s.pos
		if s.peek() == '{' { // alone can hold keys; a path for every nested list would grow with its depth
			element = fmt.Sprintf("%s[%d]", path, len(elements))
		}
		if s.readValue(element); s.pos == start {
			break
		}
		elements = append(elements, span{int32(start), int32(start + len(strings.TrimRight(s.text[start:s.pos], " \t\r")))})
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
	s.pos = min(s.pos+1, len(s.text))
}

func (s *scanner) skip(prefix string) bool {
	found := strings.HasPrefix(s.text[s.pos:], prefix)
	if found {
		s.pos += len(prefix)
	}
	return found
}
