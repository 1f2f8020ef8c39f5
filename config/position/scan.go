package position

import (
	"fmt"
	"strconv"
	"strings"
)

// A scanner walks once over a text that is probably TOML, and fills a Map. It lives for one
// scan. On anything else than TOML it stops early and never fails. Every loop checks that it
// has moved: a text on which it stood still would hang the daemon at a reload.
type scanner struct {
	*Map
	pos    int
	arrays map[string]int // how many [[tables]] of a name there were
}

// Scan makes the map of a text.
func Scan(text string) *Map { return New(text).Scan() }

// Scan finds the positions in the text as repaired.
func (p *Map) Scan() *Map {
	p.keys, p.elements = map[string]Place{}, map[string][]Span{}
	s := scanner{Map: p, arrays: map[string]int{}}
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
	return p
}

// header reads [table] or [[table]]; it is where the table stands, even if a
// subtable named it earlier. The third [[table]] is table[2], also.
func (s *scanner) header() string {
	s.skip("[")
	array := s.skip("[")
	s.spaces()
	start := s.pos
	path := s.readKey("")
	at := Place{Key: s.since(start)}
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

// since is what was read from start on, without the blanks at its end.
func (s *scanner) since(start int) Span {
	return Between(start, start+len(strings.TrimRight(s.Text[start:s.pos], " \t\r")))
}

// pair reads key = value below table. The first of two equal keys keeps its place: the library
// refuses the second.
func (s *scanner) pair(table string) {
	path := s.readKey(table)
	at := s.keys[path]
	s.skip("=")
	s.spaces()
	start := s.pos
	s.readValue(path)
	if at.Value.Empty() {
		at.Value = s.since(start)
		s.keys[path] = at
	}
}

// readKey reads a key, dotted or not, below path, and what blanks surround it.
func (s *scanner) readKey(path string) string {
	for {
		s.spaces()
		start := s.pos
		path = Join(path, s.keyPart())
		if _, known := s.keys[path]; !known {
			s.keys[path] = Place{Key: Between(start, s.pos)}
		}
		s.spaces()
		if !s.skip(".") {
			return path
		}
	}
}

// keyPart reads one part of a dotted key, without its quotes.
func (s *scanner) keyPart() string {
	start := s.pos
	switch s.peek() {
	case '\'':
		s.quoted()
		return strings.Trim(s.Text[start:s.pos], "'")
	case '"':
		s.quoted()
		if key, err := strconv.Unquote(s.Text[start:s.pos]); err == nil {
			return key
		}
		return s.Text[start:s.pos]
	}
	for isBare(s.peek()) {
		s.pos++
	}
	return s.Text[start:s.pos]
}

// readValue steps over a value, and notes what is within it, if path says where it belongs.
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

// array notes the place of each element of a list.
func (s *scanner) array(path string) {
	var elements []Span
	s.pos++
	for s.blank(); s.peek() != 0 && !s.skip("]"); s.blank() {
		if s.skip(",") {
			continue
		}
		element, start := "", s.pos
		if s.peek() == '{' { // only tables hold keys; a path for every nested list would grow with its depth
			element = fmt.Sprintf("%s[%d]", path, len(elements))
		}
		if s.readValue(element); s.pos == start {
			break
		}
		elements = append(elements, s.since(start))
	}
	if path != "" {
		s.elements[path] = elements
	}
}

// inlineTable reads { key = value, … }. Ends of lines are allowed, as the library allows them.
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
	quote := s.Text[s.pos : s.pos+1]
	end := quote
	if strings.HasPrefix(s.Text[s.pos:], strings.Repeat(quote, 3)) {
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

// spaces moves over blanks within a line.
func (s *scanner) spaces() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.pos++
	}
}

// peek is the next byte, or 0 at the end: TOML has no NUL.
func (s *scanner) peek() byte {
	if s.pos >= len(s.Text) {
		return 0
	}
	return s.Text[s.pos]
}

// step moves by one byte, and not beyond the end.
func (s *scanner) step() {
	s.pos = min(s.pos+1, len(s.Text))
}

// skip moves over prefix, if it comes next.
func (s *scanner) skip(prefix string) bool {
	found := strings.HasPrefix(s.Text[s.pos:], prefix)
	if found {
		s.pos += len(prefix)
	}
	return found
}
