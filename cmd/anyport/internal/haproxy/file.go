package haproxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"anyport/cmd/anyport/internal/proxyconf"
)

// directive is one line that is not empty.
type directive struct {
	*proxyconf.Line
	words []string
}

// word is the word at i, or "".
func (d *directive) word(i int) string {
	if i < len(d.words) {
		return d.words[i]
	}
	return ""
}

// section is a header, such as "listen web", and the lines below it.
type section struct {
	*directive
	kind, name string
	lines      []*directive
}

// file is a configuration.
type file struct {
	sections []*section
	defaults map[*section]*section // what each section inherits from
}

// sectionKinds are the words that begin a section.
var sectionKinds = []string{
	"global", "defaults", "listen", "frontend", "backend",
	"cache", "crt-store", "fcgi-app", "http-errors", "log-forward", "log-profile", "mailers", "peers",
	"program", "resolvers", "ring", "traces", "userlist", "acme", "haterm",
}

// parser reads lines, top down. Both what a section inherits and the values of variables depend on the
// lines above only: setenv in a global section counts from there on.
type parser struct {
	name  string
	env   func(string) (string, bool)
	set   map[string]*string // by setenv; nil: by unsetenv
	file  *file
	unset []string
	last  *section // the last defaults section
}

// parse reads a text. All variables that have no value are named in one error.
func parse(name, text string, env func(string) (string, bool)) (*file, error) {
	p := &parser{name: name, env: env, set: map[string]*string{}, file: &file{defaults: map[*section]*section{}}}
	var faults []error
	for i, line := range strings.Split(text, "\n") {
		if err := p.line(i+1, line); err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %w", name, i+1, err))
		}
	}
	if len(p.unset) > 0 {
		slices.Sort(p.unset)
		unset := slices.Compact(p.unset)
		faults = append(faults, fmt.Errorf("%s: no value for the variable %s: set it in the environment of this command, as HAProxy's has it", name, strings.Join(unset, ", ")))
	}
	return p.file, errors.Join(faults...)
}

// line reads one line.
func (p *parser) line(number int, text string) error {
	s := splitter{env: p.lookup}
	words, err := s.split(text)
	p.unset = append(p.unset, s.unset...)
	if err != nil || len(words) == 0 {
		return err
	}
	if strings.HasPrefix(words[0], ".") {
		return p.conditional(words[0])
	}
	d := &directive{&proxyconf.Line{File: p.name, Number: number, Text: strings.TrimSpace(text)}, words}
	if slices.Contains(sectionKinds, words[0]) {
		return p.begin(d)
	}
	if len(p.file.sections) == 0 {
		return fmt.Errorf("%q stands before the first section: is this a configuration of HAProxy?", words[0])
	}
	current := p.file.sections[len(p.file.sections)-1]
	d.Section = current.Section
	current.lines = append(current.lines, d)
	p.setVariable(words)
	return nil
}

// conditional refuses blocks whose condition anyport does not evaluate.
func (p *parser) conditional(word string) error {
	switch word {
	case ".if", ".elif", ".else", ".endif":
		return fmt.Errorf("%s: anyport does not evaluate conditional blocks: keep the lines that apply to this host, and remove the others", word)
	}
	return nil // .notice, .warning, .alert, .diag: a message
}

// begin starts a section.
func (p *parser) begin(d *directive) error {
	s := &section{directive: d, kind: d.words[0], name: d.word(1)}
	s.Section = strings.TrimSpace(s.kind + " " + s.name)
	p.file.sections = append(p.file.sections, s)
	switch s.kind {
	case "listen", "frontend", "backend", "defaults":
	default:
		return nil
	}
	inherited, err := p.inherited(s)
	p.file.defaults[s] = inherited
	if s.kind == "defaults" {
		p.last = s
	}
	return err
}

// inherited is the defaults section that s inherits from: the one that it names after from, or else
// the last one. A defaults section without from begins from nothing.
func (p *parser) inherited(s *section) (*section, error) {
	i := slices.Index(s.words, "from")
	if i < 1 {
		if s.kind == "defaults" {
			return nil, nil
		}
		return p.last, nil
	}
	name := s.word(i + 1)
	if s.kind == "defaults" && i == 1 {
		s.name = ""
	}
	for _, other := range slices.Backward(p.file.sections[:len(p.file.sections)-1]) {
		if other.kind == "defaults" && other.name == name {
			return other, nil
		}
	}
	return nil, fmt.Errorf("there is no defaults section %q above: put all files into one", name)
}

// lookup is the value of a variable.
func (p *parser) lookup(name string) (string, bool) {
	if value, ours := p.set[name]; ours {
		if value == nil {
			return "", true
		}
		return *value, true
	}
	return p.env(name)
}

// setVariable carries out setenv and its like, for the lines below.
func (p *parser) setVariable(words []string) {
	switch {
	case len(words) == 3 && words[0] == "setenv":
		p.set[words[1]] = &words[2]
	case len(words) == 3 && words[0] == "presetenv":
		if _, set := p.lookup(words[1]); !set {
			p.set[words[1]] = &words[2]
		}
	case words[0] == "unsetenv":
		for _, name := range words[1:] {
			p.set[name] = nil
		}
	}
}
