package position

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A Document is a file with the offsets of its lines.
type Document struct {
	Text   string
	starts []int32
	last   *struct{ offset, column int32 } // that were counted; the next are often behind them
}

// NewDocument finds the lines of s.
func NewDocument(s string) Document {
	starts := []int32{0}
	for i := range len(s) {
		if s[i] == '\n' {
			starts = append(starts, int32(i+1))
		}
	}
	return Document{s, starts, &struct{ offset, column int32 }{0, 1}}
}

// Line is the number, from 1, of the line that holds offset.
func (t Document) Line(offset int32) int {
	i, found := slices.BinarySearch(t.starts, offset)
	if found {
		return i + 1
	}
	return i
}

// Source is a line without its end.
func (t Document) Source(line int) string {
	end := len(t.Text)
	if line < len(t.starts) {
		end = int(t.starts[line]) - 1
	}
	return strings.TrimSuffix(t.Text[t.starts[line-1]:end], "\r")
}

// A Caret is a part of one line, as a message points at it.
type Caret struct {
	Line   int    // from 1
	Column int    // in characters, from 1
	Length int    // in characters, at least 1
	Source string // the line, without its end
}

// Caret is where s stands, as far as it lies on one line.
func (t Document) Caret(s Span) Caret {
	c := Caret{Line: t.Line(s.Start)}
	c.Source = t.Source(c.Line)
	begin := t.starts[c.Line-1]
	first := runeStart(c.Source, min(int(s.Start-begin), len(c.Source)))
	last := min(first+int(s.End-s.Start), len(c.Source))
	c.Column = t.column(begin, begin+int32(first))
	c.Length = max(1, utf8.RuneCountInString(c.Source[first:last]))
	return c
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
func (t Document) column(begin, offset int32) int {
	if t.last.offset < begin || t.last.offset > offset {
		t.last.offset, t.last.column = begin, 1
	}
	t.last.column += int32(utf8.RuneCountInString(t.Text[t.last.offset:offset]))
	t.last.offset = offset
	return int(t.last.column)
}
