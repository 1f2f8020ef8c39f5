package haproxy

import (
	"slices"
	"strings"
)

// settings are what applies to a section: the lines that it inherits, the outermost first, and its own.
type settings struct {
	*section
	all []*directive
}

// settingsOf collects the lines of s and of its defaults.
func (f *file) settingsOf(s *section) *settings {
	var chain [][]*directive
	for at := s; at != nil; at = f.defaults[at] {
		chain = append(chain, at.lines)
	}
	slices.Reverse(chain)
	return &settings{s, slices.Concat(chain...)}
}

// begins reports whether d begins with words.
func (d *directive) begins(words ...string) bool {
	return len(d.words) >= len(words) && slices.Equal(d.words[:len(words)], words)
}

// each are the directives that begin with words.
func (s *settings) each(words ...string) []*directive {
	var found []*directive
	for _, d := range s.all {
		if d.begins(words...) {
			found = append(found, d)
		}
	}
	return found
}

// last is the directive that begins with words and is in force: the last one. nil: there is none.
func (s *settings) last(words ...string) *directive {
	found := s.each(words...)
	if len(found) == 0 {
		return nil
	}
	inForce := found[len(found)-1]
	for _, d := range found[:len(found)-1] {
		d.Otherwise = "replaced at " + inForce.Place()
	}
	return inForce
}

// option is the line that sets an option, if no later one unsets it.
func (s *settings) option(name string) *directive {
	var set *directive
	for _, d := range s.all {
		switch {
		case d.begins("option", name):
			set = d
		case d.begins("no", "option", name):
			set = nil
			d.Otherwise = "not needed: the option is off in anyport too"
		}
	}
	return set
}

// mode is what the section does with the bytes: "tcp" unless a line says otherwise.
func (s *settings) mode() string {
	if d := s.last("mode"); d != nil {
		d.Otherwise = "not needed: anyport relays TCP"
		return d.word(1)
	}
	return "tcp"
}

// ownLines sets why the section's own lines are left, if nothing marks them.
func (s *section) ownLines(reason string) {
	for _, d := range s.lines {
		d.Otherwise = reason
	}
}

// title names the section in reasons.
func (s *section) title() string { return strings.TrimSpace(s.kind + " " + s.name) }
