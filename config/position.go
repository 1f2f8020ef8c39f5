package config

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A span is a part of a file's text, by the offsets of its bytes.
type span struct{ start, end int32 }

func (s span) empty() bool { return s.end <= s.start }

// A place is where a key stands, and its value. A table's header has no value.
type place struct{ key, value span }

// positions knows where the keys, values and elements of a file stand: the TOML library
// keeps no position of a key that decoded well, and none at all of an array's elements.
type positions struct {
	text     string
	keys     map[string]place  // of each key and table, by its path
	elements map[string][]span // of each array's elements, by the array's path
	repairs  []repair          // that made text from the file
}

// value is where the value of a path such as `route.ssh.origins[1].weight` stands. Where
// the file lacks it, that is the nearest table or key around it; empty if there is none.
func (p *positions) value(path string) span {
	for path != "" {
		if at, ok := p.keys[path]; ok && !at.value.empty() {
			return at.value
		} else if ok {
			return at.key
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
	return span{}
}

// key is where the last key of a path stands, or what value says where it does not.
func (p *positions) key(path string) span {
	if at, ok := p.keys[path]; ok {
		return at.key
	}
	return p.value(path)
}

// header is all of the [table] or [[table]] of a path, if it has one.
func (p *positions) header(path string) (span, bool) {
	at, ok := p.keys[path]
	if !ok || !at.value.empty() {
		return p.value(path), false
	}
	all := p.enclosed(at.key)
	return all, !all.empty() && p.text[all.start] == '['
}

// enclosed is s with what brackets stand around it: a whole header.
func (p *positions) enclosed(s span) span {
	for s.start > 0 && strings.IndexByte("[ \t", p.text[s.start-1]) >= 0 {
		s.start--
	}
	for p.text[s.start] != '[' && s.start < s.end {
		s.start++
	}
	for int(s.end) < len(p.text) && strings.IndexByte("] \t", p.text[s.end]) >= 0 {
		s.end++
	}
	s.end = s.start + int32(len(strings.TrimRight(p.text[s.start:s.end], " \t")))
	return s
}

func (p *positions) source(s span) string { return p.text[s.start:s.end] }

// A document is a file with the offsets of its lines.
type document struct {
	string
	starts []int32
	last   *struct{ offset, column int32 } // that were counted; the next are often behind them
}

func newDocument(s string) document {
	starts := []int32{0}
	for i := range len(s) {
		if s[i] == '\n' {
			starts = append(starts, int32(i+1))
		}
	}
	return document{s, starts, &struct{ offset, column int32 }{0, 1}}
}

// line is the number, from 1, of the line that holds offset.
func (t document) line(offset int32) int {
	i, found := slices.BinarySearch(t.starts, offset)
	if found {
		return i + 1
	}
	return i
}

// source is a line without its end.
func (t document) source(line int) string {
	end := len(t.string)
	if line < len(t.starts) {
		end = int(t.starts[line]) - 1
	}
	return strings.TrimSuffix(t.string[t.starts[line-1]:end], "\r")
}

// locate has p stand at s, as far as s lies on one line.
func (t document) locate(p *Problem, s span) {
	p.Line = t.line(s.start)
	p.Source = t.source(p.Line)
	begin := t.starts[p.Line-1]
	first := runeStart(p.Source, min(int(s.start-begin), len(p.Source)))
	last := min(first+int(s.end-s.start), len(p.Source))
	p.Column = t.column(begin, begin+int32(first))
	p.Length = max(1, utf8.RuneCountInString(p.Source[first:last]))
}

// runeStart is where the character begins that offset is in.
func runeStart(s string, offset int) int {
	for start := max(0, offset-utf8.UTFMax+1); start < offset; start++ {
		if _, size := utf8.DecodeRuneInString(s[start:]); start+size > offset {
			return start
		}
	}
	return offset
}

// column counts the characters from the begin of a line to offset, and itself. Of a
// million on one line it counts none twice.
func (t document) column(begin, offset int32) int {
	if t.last.offset < begin || t.last.offset > offset {
		t.last.offset, t.last.column = begin, 1
	}
	t.last.column += int32(utf8.RuneCountInString(t.string[t.last.offset:offset]))
	t.last.offset = offset
	return int(t.last.column)
}

// join appends key to path as TOML would write it, so that a dot in a quoted key
// separates nothing.
func join(path, key string) string {
	if key == "" || strings.ContainsFunc(key, func(c rune) bool { return c > 0x7f || !isBare(byte(c)) }) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
