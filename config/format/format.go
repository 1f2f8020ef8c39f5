package format

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"anyport/config/tokens"
)

// indent is how far what stands in a bracket over several lines is moved in.
const indent = "  "

// File is a text in the usual form: one blank around =, one empty line before a table, comments of adjoining
// lines below each other. A text that is not TOML is an error, since nobody can say what it means.
func File(text string) (string, error) {
	var values map[string]any
	if _, err := toml.Decode(text, &values); err != nil {
		return "", err
	}
	lines := split(strings.TrimPrefix(text, "\ufeff"))
	alignComments(lines)
	formatted := join(lines)
	if !sameTokens(text, formatted) {
		return "", fmt.Errorf("this text cannot be formatted without a change of its meaning")
	}
	return formatted, nil
}

// sameTokens reports whether two texts differ in blanks only. It is a guard against faults of this package: what
// it lets through has the same meaning.
func sameTokens(a, b string) bool {
	return strings.Join(solid(a), "\x00") == strings.Join(solid(b), "\x00")
}

// solid are the tokens of a text that are not blank. Adjoining words of a key are one: a . b is a.b.
func solid(text string) (all []string) {
	for token := range tokens.Of(strings.TrimPrefix(text, "\ufeff")) {
		switch {
		case token.Kind == tokens.Blank || token.Kind == tokens.Newline:
		case token.Kind == tokens.Comment:
			all = append(all, strings.TrimRight(token.Text, " \t\r"))
		case len(all) > 0 && token.Kind == tokens.Word && (strings.HasSuffix(all[len(all)-1], ".") || strings.HasPrefix(token.Text, ".")):
			all[len(all)-1] += token.Text
		default:
			all = append(all, token.Text)
		}
	}
	return all
}

// line is one line, or several if a string spans them.
type line struct {
	depth   int    // brackets that are open at its begin, less those that it begins with closing
	code    string // without its comment
	comment string
	header  bool // it begins a table
}

// split takes the text apart and writes the code of each line in the usual form.
func split(text string) (lines []line) {
	w := writer{}
	for token := range tokens.Of(text) {
		switch token.Kind {
		case tokens.Newline:
			lines = append(lines, w.end())
		case tokens.Comment:
			w.line.comment = strings.TrimRight(token.Text, " \t\r")
		default:
			w.add(token)
		}
	}
	return append(lines, w.end())
}

// join writes the lines, with an empty one before each table and at most one elsewhere.
func join(lines []line) string {
	var out strings.Builder
	empty, began := false, false
	for i, l := range lines {
		if l.code == "" && l.comment == "" {
			empty = began
			continue
		}
		if empty || began && startsTable(lines, i) {
			out.WriteByte('\n')
		}
		empty, began = false, true
		out.WriteString(strings.TrimRight(strings.Repeat(indent, l.depth)+l.code+l.comment, " \t") + "\n")
	}
	return out.String()
}

// startsTable reports whether line i is a header, or the first of the comments right above one.
func startsTable(lines []line, i int) bool {
	comment := func(l line) bool { return l.code == "" && l.comment != "" && l.depth == 0 }
	if i > 0 && comment(lines[i-1]) {
		return false
	}
	for i < len(lines) && comment(lines[i]) {
		i++
	}
	return i < len(lines) && lines[i].header
}

// alignComments puts the comments of adjoining lines into one column. A table begins a column of its own: join
// writes an empty line before it.
func alignComments(lines []line) {
	for from := 0; from < len(lines); {
		to, width := from, 0
		for to < len(lines) && lines[to].code != "" && lines[to].comment != "" && (to == from || !startsTable(lines, to)) {
			width = max(width, lines[to].width())
			to++
		}
		if to == from { // a line that has no such comment
			from++
		}
		for ; from < to; from++ {
			lines[from].code += strings.Repeat(" ", width-lines[from].width()+1)
		}
	}
}

// width is the column in which the code ends.
func (l line) width() int {
	last := l.code[strings.LastIndexByte(l.code, '\n')+1:]
	n := utf8.RuneCountInString(last)
	if len(last) == len(l.code) {
		n += l.depth * len(indent)
	}
	return n
}
