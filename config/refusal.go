package config

import (
	"errors"

	"anyport/config/habits"
)

// A refusal is the error of a kind's parser: why a value is refused. It has its parts apart,
// because a habit may know a better cure than the parser.
type refusal struct {
	want  string // what it should have been: "Port", "Duration", … ; as habits name it
	found string // `"x" is not a port`
	cure  string // what is allowed, "write …"
	fix   string // the one thing that cure says to write in place of the value, if it does
	final bool   // no habit knows better
}

// Error is the message without a place, for values that are read outside a table.
func (m refusal) Error() string { return m.found + ": " + m.cure }

// newRefusal is the refusal of a value that is not what was wanted.
func newRefusal(want string, value any, is, cure string) error {
	return refusal{want: want, found: show(value) + " " + is, cure: cure}
}

// withAlternative adds to a refusal what else is allowed.
func withAlternative(err error, words string) error {
	var m refusal
	if !errors.As(err, &m) {
		return err
	}
	m.cure += words
	return m
}

// accepts makes of a parser the question whether it takes a value.
func accepts[T any](parse func(any) (T, error)) func(any) bool {
	return func(value any) bool {
		_, err := parse(value)
		return err == nil
	}
}

// maxCures bounds the time that a file of a million faults takes.
const maxCures = 200

// refuse reports that value cannot stand at key, and what to write instead: the cure of a
// habit if one fits, else the cure of err. A cure that the key would refuse is not offered;
// accept decides that.
func (t *table) refuse(key string, value any, err error, where habits.Slot, accept func(any) bool) {
	var m refusal
	if !errors.As(err, &m) {
		m.found = err.Error()
	}
	at := t.report.at().Value(t.pathOf(key))
	if len(t.report.problems) < maxCures && !m.final {
		if list, ok := elements(value); ok {
			value = list
		}
		c := habits.Cure{Key: key, Want: m.want, Value: value, Source: t.report.at().Source(at), Slot: where, Accept: accept}
		if fix, say := c.Find(); fix != "" || say != "" {
			m.fix, m.cure = fix, say
		}
	}
	text := m.found
	if m.cure != "" {
		text += ": " + m.cure
	}
	t.faultAt(at, key, text).Fix = m.fix
}
