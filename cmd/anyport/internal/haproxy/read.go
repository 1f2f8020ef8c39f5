package haproxy

import (
	"fmt"

	"anyport/cmd/anyport/internal/proxyconf"
)

// Read reads a configuration; name is only its name in the report.
func Read(name, text string, o proxyconf.Options) (*proxyconf.Reading, error) {
	f, err := parse(name, text, o.Env)
	if err != nil {
		return nil, err
	}
	r := &reader{file: f, options: o, reading: &proxyconf.Reading{}}
	for _, s := range f.sections {
		r.explain(s)
	}
	for _, s := range f.sections {
		if s.kind == "listen" || s.kind == "frontend" {
			r.service(s)
		}
	}
	for _, s := range f.sections {
		r.collect(s)
	}
	return r.reading, nil
}

// reader makes services of sections. It lives for one Read and is used by one goroutine. A backend that
// several sections use is read once for each of them, since a route also has settings of the section
// that listens; its lines collect the marks of all.
type reader struct {
	file    *file
	options proxyconf.Options
	reading *proxyconf.Reading
	unread  map[*section]bool // sections whose lines are not listed one by one
}

// explain sets why the lines of a section are left, for those that no service uses.
func (r *reader) explain(s *section) {
	for _, d := range s.lines {
		d.Otherwise = reasonFor(s.kind, d)
	}
	switch s.kind {
	case "global", "defaults":
		s.Otherwise = "no route: see its lines"
	case "backend":
		s.Otherwise = "no section that is read uses it"
	case "listen", "frontend":
	default:
		r.skip(s, fmt.Sprintf("anyport has no %s", s.kind))
	}
}

// skip leaves a section whole. Its lines may hold secrets, and are not listed.
func (r *reader) skip(s *section, reason string) {
	if r.unread == nil {
		r.unread = map[*section]bool{}
	}
	r.unread[s] = true
	s.Leave("%s; its %d lines are not read", reason, len(s.lines))
}

// collect lists the lines of a section.
func (r *reader) collect(s *section) {
	r.reading.Lines = append(r.reading.Lines, s.Line)
	if r.unread[s] {
		return
	}
	for _, d := range s.lines {
		r.reading.Lines = append(r.reading.Lines, d.Line)
	}
}

// service reads a section that listens.
func (r *reader) service(s *section) {
	front := r.file.settingsOf(s)
	if reason := refusal(front); reason != "" {
		r.skip(s, reason)
		return
	}
	listens := r.listens(front)
	if len(listens) == 0 {
		s.Leave("none of its addresses can be served")
		s.ownLines("its section is left")
		return
	}
	choices := r.choices(front, listens)
	if len(choices) == 0 {
		s.Leave("it has no server that anyport can use")
		s.ownLines("its section is left")
		return
	}
	s.Became("route")
	r.reading.Services = append(r.reading.Services, &proxyconf.Service{
		Name: s.name, Line: s.Line, Listens: listens, Choices: choices,
	})
}

// choices are where a section forwards to: by use_backend lines, then its own servers or those of
// default_backend. What is lost stands at the route that its conns now get to: the last one.
func (r *reader) choices(front *settings, listens []proxyconf.Listen) []proxyconf.Choice {
	choices, lost := r.useBackends(front, listens)
	if f := r.defaultForwarding(front, listens); f != nil {
		choices = append(choices, proxyconf.Choice{Forwarding: f})
	}
	if last := len(choices) - 1; last >= 0 {
		choices[last].Forwarding.Notes = append(choices[last].Forwarding.Notes, lost...)
	}
	return choices
}

// useBackends are the choices of use_backend lines, and notes about those that have no equal.
func (r *reader) useBackends(front *settings, listens []proxyconf.Listen) (choices []proxyconf.Choice, lost []string) {
	for _, d := range front.each("use_backend") {
		choice, reason := r.useBackend(front, listens, d)
		if reason != "" {
			d.Leave("%s", reason)
			lost = append(lost, fmt.Sprintf("not imported, %s: %s", d.Place(), d.Text))
			continue
		}
		d.Became("route")
		choices = append(choices, choice)
	}
	return choices, lost
}

// defaultForwarding is for conns that no use_backend line takes; nil: there is none.
func (r *reader) defaultForwarding(front *settings, listens []proxyconf.Listen) *proxyconf.Forwarding {
	d := front.last("default_backend")
	if d == nil {
		f, _ := r.forwarding(front, front, listens) // a frontend has no servers, and so no forwarding
		return f
	}
	back := r.backend(d.word(1))
	f, reason := r.forwarding(front, back, listens)
	if reason != "" {
		d.Leave("%s", reason)
		return nil
	}
	d.Became("origins")
	back.Became("origins")
	return f
}

// useBackend reads a use_backend line whose condition is on the dst.
func (r *reader) useBackend(front *settings, listens []proxyconf.Listen, d *directive) (proxyconf.Choice, string) {
	choice, condition, reason := r.dstCondition(front, d.words[min(2, len(d.words)):])
	if reason != "" {
		return choice, reason
	}
	back := r.backend(d.word(1))
	f, reason := r.forwarding(front, back, listens)
	if reason == "" {
		back.Became("origins")
		condition.became("route")
	}
	choice.Forwarding, choice.Name = f, d.word(1)
	return choice, reason
}

// backend finds a section by its name; nil if there is none.
func (r *reader) backend(name string) *settings {
	for _, s := range r.file.sections {
		if (s.kind == "backend" || s.kind == "listen") && s.name == name {
			return r.file.settingsOf(s)
		}
	}
	return nil
}
