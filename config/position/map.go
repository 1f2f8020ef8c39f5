package position

import (
	"strconv"
	"strings"
)

// A Span is a part of a file's text, by the offsets of its bytes.
type Span struct{ Start, End int32 }

// Between is the Span from start up to, and without, end.
func Between(start, end int) Span { return Span{int32(start), int32(end)} }

// Empty reports whether s has no bytes: the file lacks what it stands for.
func (s Span) Empty() bool { return s.End <= s.Start }

// A Place is where a key stands, and its value. A table's header has no value.
type Place struct{ Key, Value Span }

// A Map knows where the keys, values and elements of a text stand. It is filled by one scan, and
// then only read: goroutines may share it.
type Map struct {
	Text     string            // as repaired
	keys     map[string]Place  // of each key and table, by its path
	elements map[string][]Span // of each array's elements, by the array's path
	repairs  []Repair          // that made text from the file
}

// New is the map of a text that is yet to be scanned: it may not be TOML, and be repaired first.
func New(text string) *Map { return &Map{Text: text} }

// At is where the key or table of path stands, if the file has it.
func (p *Map) At(path string) (Place, bool) {
	at, ok := p.keys[path]
	return at, ok
}

// Value is where the value of a path such as `route.ssh.origins[1].weight` stands. Where
// the file lacks it, that is the nearest table or key around it; empty if there is none.
func (p *Map) Value(path string) Span {
	for path != "" {
		if at, ok := p.keys[path]; ok && !at.Value.Empty() {
			return at.Value
		} else if ok {
			return at.Key
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			break
		}
		i, err := strconv.Atoi(strings.Trim(path[cut:], "[]"))
		path = path[:cut]
		if elements := p.elements[path]; err == nil && path != "" && i < len(elements) {
			return elements[i]
		}
	}
	return Span{}
}

// Key is where the last key of a path stands, or what Value says where it does not.
func (p *Map) Key(path string) Span {
	if at, ok := p.keys[path]; ok {
		return at.Key
	}
	return p.Value(path)
}

// Header is all of the [table] or [[table]] of a path, if it has one.
func (p *Map) Header(path string) (Span, bool) {
	at, ok := p.keys[path]
	if !ok || !at.Value.Empty() {
		return p.Value(path), false
	}
	all := p.enclosed(at.Key)
	return all, !all.Empty() && p.Text[all.Start] == '['
}

// enclosed is s with what brackets stand around it: a whole header.
func (p *Map) enclosed(s Span) Span {
	for s.Start > 0 && strings.IndexByte("[ \t", p.Text[s.Start-1]) >= 0 {
		s.Start--
	}
	for p.Text[s.Start] != '[' && s.Start < s.End {
		s.Start++
	}
	for int(s.End) < len(p.Text) && strings.IndexByte("] \t", p.Text[s.End]) >= 0 {
		s.End++
	}
	s.End = s.Start + int32(len(strings.TrimRight(p.Text[s.Start:s.End], " \t")))
	return s
}

// Source is the text of s.
func (p *Map) Source(s Span) string { return p.Text[s.Start:s.End] }

// Join appends key to path as TOML would write it, so that a dot in a quoted key
// separates nothing.
func Join(path, key string) string {
	if key == "" || strings.ContainsFunc(key, func(c rune) bool { return c > 0x7f || !isBare(byte(c)) }) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// isBare reports whether c can stand in a key without quotes.
func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
