package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"anyport/config/position"
)

// Problem is one fault of a file: where it is, and what to do about it.
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

// stand has p stand at c.
func (p *Problem) stand(c position.Caret) {
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

// longest is the line, in bytes, that is shown at all, and mostShown how many are.
const (
	longest   = 1 << 16
	mostShown = 100
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

func (p Problem) example() string {
	if p.Example == "" {
		return ""
	}
	return "\n\n    " + strings.ReplaceAll(strings.TrimRight(p.Example, "\n"), "\n", "\n    ") + "\n"
}

// Problems are all faults of one file, by place. As an error it has a line for each.
type Problems []Problem

func (ps Problems) Error() string {
	all := make([]string, len(ps))
	for i, p := range ps {
		all[i] = p.String()
	}
	return strings.Join(all, "\n")
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Detail is Error for the eyes: each with its line of the file, as long as they are few.
func (ps Problems) Detail() string {
	if len(ps) > mostShown {
		return ps[:mostShown].Detail() + "\n" + ps[mostShown:].Error()
	}
	all := make([]string, len(ps))
	for i, p := range ps {
		all[i] = p.Detail()
	}
	return strings.Join(all, "\n")
}

// A report gathers the problems of one file while it is read.
type report struct {
	file          string
	text          position.Document // as the file has it
	at            func() *position.Map
	headers       map[string]int32  // offsets of the routes' names in their headers, where the file is read in parts
	tables        map[string]*table // of each route, by its name
	allowLoopback bool              // [steering] says that routes may serve loopback addresses
	schema        schema            // nil where a single section is read, whose keys are all known
	problems      Problems
	spans         []position.Span // of the problems, in the text as repaired
	notes         Problems
}

func newReport(file string, t position.Document, at *position.Map) *report {
	return &report{file: file, text: t, at: func() *position.Map { return at }, tables: map[string]*table{}}
}

// add notes a problem of a key as [Problem] names it, where its value stands.
func (r *report) add(route, key, format string, args ...any) {
	r.mark(r.place(route, key), route, key, fmt.Sprintf(format, args...))
}

// note is add for what is no fault.
func (r *report) note(route, key, format string, args ...any) {
	r.notes = append(r.notes, r.problem(r.place(route, key), route, key, fmt.Sprintf(format, args...)))
}

// mark adds a problem at s. What it returns is valid until the next one.
func (r *report) mark(s position.Span, route, key, text string) *Problem {
	r.problems, r.spans = append(r.problems, r.problem(s, route, key, text)), append(r.spans, s)
	return &r.problems[len(r.problems)-1]
}

func (r *report) problem(s position.Span, route, key, text string) Problem {
	p := Problem{File: r.file, Route: route, Key: key, Text: text}
	if !s.Empty() {
		p.stand(r.text.Caret(r.at().Original(s)))
	}
	return p
}

// place is where the value of a key stands.
func (r *report) place(route, key string) position.Span {
	if t := r.tables[route]; t != nil {
		key = t.pathOf(key)
	} else if r.headers != nil && route != "" {
		key = position.Join("route", route) + "." + key
	}
	return r.at().Value(key)
}

// lineOf is the line of the key of path.
func (r *report) lineOf(path string) int {
	if offset, ok := r.headers[path]; ok {
		return r.text.Line(offset)
	}
	at := r.at().Key(path)
	if at.Empty() {
		return 0
	}
	return r.text.Line(r.at().Original(at).Start)
}

// element is the name of a list's element, or of the list alone where faulty ones
// that were left out make the index uncertain.
func (r *report) element(route, key string, index int) string {
	for _, p := range r.problems {
		if p.Route == route && strings.HasPrefix(p.Key, key+"[") {
			return key
		}
	}
	return fmt.Sprintf("%s[%d]", key, index)
}

// err is nil, or all problems in the order of the file.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	r.problems.sort()
	return r.problems
}
