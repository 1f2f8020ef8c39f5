package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"anyport/config/position"
)

// Problem is one mistake in a file: where it is, and what to do about it. Text holds no end of
// line and no escape sequence, whatever the file holds: it goes to logs and terminals.
type Problem struct {
	File    string
	Line    int    // 0: of no one line
	Column  int    // in characters, from 1; 0: of the line as a whole
	Length  int    // in characters, from Column on, on this line
	Source  string // the line as the file has it
	Route   string // the route's name; "": outside the routes
	Key     string // within the route ("origins[1]"), or with its table ("listen.workers")
	Text    string // the value found, what is allowed, what to do
	Fix     string // what Text says to write in place of Length characters; "": words say what to do
	Example string // of some lines, to be shown below the source; usually ""
}

// setCaret places p at c.
func (p *Problem) setCaret(c position.Caret) {
	p.Line, p.Column, p.Length, p.Source = c.Line, c.Column, c.Length, c.Source
}

// String is the problem in one line.
func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Column > 0 {
		place += fmt.Sprintf(":%d", p.Column)
	}
	if p.Route != "" {
		place += fmt.Sprintf(": route %q", p.Route)
	}
	if p.Key != "" {
		place += ": " + p.Key
	}
	return place + ": " + p.Text
}

// Detail is String, and below it the line of the file with a caret at the place.
func (p Problem) Detail() string {
	if p.Column == 0 || len(p.Source) > longest {
		return p.String() + p.example()
	}
	margin := fmt.Sprintf("%5d", p.Line)
	source, before, length := p.excerpt()
	return fmt.Sprintf("%s\n%s | %s\n%*s | %s%s%s", p, margin, source,
		len(margin), "", before, strings.Repeat("^", length), p.example())
}

// longest is the line, in bytes, that is shown at all, and maxDetailed how many are.
const (
	longest     = 1 << 16
	maxDetailed = 100
)

// shown is how many characters of a long line are shown before the place, and after.
const shown = 60

// excerpt is the source about the place, what stands before the caret to put it there,
// and the caret's length.
func (p Problem) excerpt() (source, before string, length int) {
	line := []rune(p.Source)
	from, to := max(0, p.Column-1-shown), min(len(line), p.Column-1+2*shown)
	for i := from; i < to; i++ {
		if line[i] != '\t' && printable(string(line[i])) != string(line[i]) {
			line[i] = '\ufffd'
		}
	}
	source = string(line[from:to])
	before = strings.Map(blankOf, string(line[from:min(to, p.Column-1)]))
	length = min(p.Length, max(1, to-(p.Column-1)))
	if from > 0 {
		source, before = "…"+source, " "+before
	}
	if to < len(line) {
		source += "…"
	}
	return source, before, length
}

// blankOf keeps tabs, so that the caret stands below its place however wide they are.
func blankOf(r rune) rune {
	if r == '\t' {
		return r
	}
	return ' '
}

// example is indented, and set apart by empty lines.
func (p Problem) example() string {
	if p.Example == "" {
		return ""
	}
	return "\n\n    " + strings.ReplaceAll(strings.TrimRight(p.Example, "\n"), "\n", "\n    ") + "\n"
}

// Problems are all faults of one file, by place. As an error it has a line for each.
type Problems []Problem

// Error has the problems one to a line, without their source.
func (ps Problems) Error() string {
	all := make([]string, len(ps))
	for i, p := range ps {
		all[i] = p.String()
	}
	return strings.Join(all, "\n")
}

// sort keeps the order in which problems of one place were found.
func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Detail is Error for the eyes: each with its line of the file, as long as they are few.
func (ps Problems) Detail() string {
	if len(ps) > maxDetailed {
		return ps[:maxDetailed].Detail() + "\n" + ps[maxDetailed:].Error()
	}
	all := make([]string, len(ps))
	for i, p := range ps {
		all[i] = p.Detail()
	}
	return strings.Join(all, "\n")
}

// Detail is what err says; of [Problems] with the lines of the file.
func Detail(err error) string {
	if problems := (Problems)(nil); errors.As(err, &problems) && problems.Error() == err.Error() {
		return problems.Detail()
	}
	return err.Error()
}

// Summary is what is wrong with a file, in one line: how many problems it has, and the
// first of them.
func Summary(err error) string {
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 1 {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return fmt.Sprintf("%d errors, the first: %v", len(problems), problems[0])
}
