package format

import (
	"slices"
	"strings"

	"anyport/config/tokens"
)

// writer writes the code of one line after the other. It knows in which brackets a token stands.
type writer struct {
	line   line
	code   strings.Builder
	number int          // of the line
	open   []int        // brackets, from the outermost one: the line that each stands in
	value  bool         // this line has a = already
	closes bool         // this line has only closing brackets so far
	before tokens.Token // in this line; no text: none
	blank  bool         // the text had blanks before this token
}

// add appends a token, with the blanks that belong before it.
func (w *writer) add(t tokens.Token) {
	if t.Kind == tokens.Blank {
		w.blank = true
		return
	}
	if w.before.Text == "" {
		w.begin(t)
	} else if w.separated(t) {
		w.code.WriteByte(' ')
	}
	w.code.WriteString(t.Text)
	w.brackets(t)
	w.value = w.value || isMark(t, "=")
	w.before, w.blank = t, false
}

// begin notes what the first token of a line says of it.
func (w *writer) begin(t tokens.Token) {
	w.line.depth, w.closes = w.depth(), true
	w.line.header = len(w.open) == 0 && isMark(t, "[")
}

// brackets keeps count of what is open. The brackets of a header are none. Those that a line begins with closing
// stand where the line with their opening ones begins.
func (w *writer) brackets(t tokens.Token) {
	closes := isMark(t, "]}") && len(w.open) > 0
	w.closes = w.closes && closes
	switch {
	case w.line.header:
	case isMark(t, "[{"):
		w.open = append(w.open, w.number)
	case closes:
		w.open = w.open[:len(w.open)-1]
		if w.closes {
			w.line.depth = w.depth()
		}
	}
}

// depth is how many lines have brackets that are open: two that a line opens move the next one in once.
func (w *writer) depth() int { return len(slices.Compact(slices.Clone(w.open))) }

// separated reports whether a blank stands between the last token and this one.
func (w *writer) separated(t tokens.Token) bool {
	b := w.before
	inKey := strings.HasSuffix(b.Text, ".") && b.Kind == tokens.Word || strings.HasPrefix(t.Text, ".") && t.Kind == tokens.Word
	switch {
	case w.line.header || inKey && !w.value: // in a value a blank may mean something, as in a time
		return false
	case isMark(t, ",]"):
		return false
	case isMark(b, "{"):
		return !isMark(t, "}")
	case isMark(t, "}"), isMark(t, "="), isMark(b, "=,"):
		return true
	case isMark(b, "["):
		return false
	}
	return w.blank
}

// end returns the line and begins the next one.
func (w *writer) end() line {
	l := w.line
	if w.before.Text == "" {
		l.depth = w.depth()
	}
	l.code = w.code.String()
	w.number++
	w.line, w.before, w.blank, w.value = line{}, tokens.Token{}, false, false
	w.code.Reset()
	return l
}

// isMark reports whether a token is one of these marks.
func isMark(t tokens.Token, marks string) bool {
	return t.Kind == tokens.Mark && strings.Contains(marks, t.Text)
}
