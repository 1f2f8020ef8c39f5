package config

import (
	"fmt"
	"strings"

	"anyport/config/position"
)

// A report gathers the problems of one file while it is read. It belongs to one call of
// Parse, and to one goroutine. It also carries what the readers of keys need to know of the
// rest of the file.
type report struct {
	file          string
	text          position.Document // as the file has it
	at            func() *position.Map
	headers       map[string]int32   // offsets of the routes' names in their headers, where the file is read in parts
	tables        map[string]*table  // of each route, by its name
	healths       map[string]*Health // of [health.NAME] tables
	ofSource      bool               // the text is a table of the source of [fleet]
	allowLoopback bool               // [steering] says that routes may serve loopback addresses
	schema        schema             // nil where a single section is read, whose keys are all known
	problems      Problems
	spans         []position.Span // of the problems, in the text as repaired
	notes         Problems
}

// newReport makes the report of a text whose keys stand where at says.
func newReport(file string, t position.Document, at *position.Map) *report {
	return &report{file: file, text: t, at: func() *position.Map { return at }, tables: map[string]*table{}}
}

// add notes a problem of a key as [Problem] names it, where its value stands.
func (r *report) add(route, key, format string, args ...any) {
	r.addAt(r.place(route, key), route, key, fmt.Sprintf(format, args...))
}

// note is add for what is valid, but may surprise.
func (r *report) note(route, key, format string, args ...any) {
	r.notes = append(r.notes, r.problem(r.place(route, key), route, key, fmt.Sprintf(format, args...)))
}

// addAt adds a problem at s. What it returns is valid until the next one.
func (r *report) addAt(s position.Span, route, key, text string) *Problem {
	r.problems, r.spans = append(r.problems, r.problem(s, route, key, text)), append(r.spans, s)
	return &r.problems[len(r.problems)-1]
}

// problem places a problem at s, a span of the text as repaired; an empty s has no place.
func (r *report) problem(s position.Span, route, key, text string) Problem {
	p := Problem{File: r.file, Route: route, Key: key, Text: text}
	if !s.Empty() {
		p.setCaret(r.text.Caret(r.at().Original(s)))
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

// element is the name of a list's element, such as origins[1]. If faulty elements were left
// out of the list, the index would be wrong: then it is the name of the list.
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

// Locate gives problems that were found later, when the file was read already, the place
// of their key in it. A key that the file does not have, such as one that was removed, has the place of its table.
func (c *Config) Locate(problems Problems) Problems {
	if len(problems) == 0 {
		return problems
	}
	locate(c.text, problems, func(p *Problem) bool { return c.table == nil || p.Route == "" })
	if c.table != nil {
		locate(c.table.text, problems, func(p *Problem) bool {
			if p.Route != "" {
				p.File = c.table.name
			}
			return p.Route != ""
		})
	}
	return problems
}

// locate places those problems that have no place yet and are of this text.
func locate(text string, problems Problems, ofText func(*Problem) bool) {
	if text == "" {
		return
	}
	doc, at := position.NewDocument(text), position.Scan(text)
	for i := range problems {
		if !ofText(&problems[i]) {
			continue
		}
		p := &problems[i]
		path := p.Key
		if p.Route != "" {
			path = position.Join("route", p.Route) + "." + p.Key
		}
		if s := placeOf(at, path); p.Column == 0 && !s.Empty() {
			p.setCaret(doc.Caret(s))
		}
	}
}

// placeOf is the span of a value, or of the header of the nearest table that would have it; or else of the first line
// that is not empty, so that every problem has a line.
func placeOf(at *position.Map, path string) position.Span {
	if s := at.Value(path); !s.Empty() {
		return s
	}
	rest := strings.TrimLeft(at.Text, " \t\r\n")
	begin := len(at.Text) - len(rest)
	line, _, _ := strings.Cut(rest, "\n")
	return position.Between(begin, begin+len(strings.TrimRight(line, "\r")))
}
