package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one fault of a file: where it is, and what to do about it.
type Problem struct {
	File  string
	Line  int    // 0: of no one line
	Route string // the route's name; "": outside the routes
	Key   string // within the route ("origins[1]"), or with its table ("listen.workers")
	Text  string // the value found, what is allowed, what to do
}

func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Route != "" {
		place += fmt.Sprintf(": route %q", p.Route)
	}
	if p.Key != "" {
		place += ": " + p.Key
	}
	return place + ": " + p.Text
}

// Problems are all faults of one file, by line. As an error it has a line for each.
type Problems []Problem

func (ps Problems) Error() string {
	all := make([]string, len(ps))
	for i, p := range ps {
		all[i] = p.String()
	}
	return strings.Join(all, "\n")
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}

// pathOf is the place in the file of a problem's Route and Key.
func pathOf(route, key string) string {
	if route == "" {
		return key
	}
	return join("route", route) + "." + key
}

// A report gathers the problems of one file while it is read.
type report struct {
	file     string
	lines    lines
	problems Problems
	notes    Problems
}

// add notes a problem of a key as [Problem] names it.
func (r *report) add(route, key, format string, args ...any) {
	r.problems = append(r.problems, r.problem(route, key, format, args...))
}

// note is add for what is no fault.
func (r *report) note(route, key, format string, args ...any) {
	r.notes = append(r.notes, r.problem(route, key, format, args...))
}

func (r *report) problem(route, key, format string, args ...any) Problem {
	return Problem{
		File:  r.file,
		Line:  r.lines.at(pathOf(route, key)),
		Route: route,
		Key:   key,
		Text:  fmt.Sprintf(format, args...),
	}
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
