package config

import (
	"errors"
	"fmt"

	"github.com/BurntSushi/toml"
)

// A mistake is why a value is refused.
type mistake struct {
	want  string // what it should have been: "Port", "Duration", … ; as habits name it
	found string // `"x" is not a port`
	cure  string // what is allowed, "write …"
	fix   string // the one thing that cure says to write in place of the value, if it does
}

func (m mistake) Error() string { return m.found + ": " + m.cure }

// wrong is the mistake of a value that is not what was wanted.
func wrong(want string, value any, is, cure string) error {
	return mistake{want: want, found: show(value) + " " + is, cure: cure}
}

// orElse adds to a mistake what else is allowed.
func orElse(err error, words string) error {
	var m mistake
	if !errors.As(err, &m) {
		return err
	}
	m.cure += words
	return m
}

// A slot is what may stand where a value was refused.
type slot int

const (
	oneValue slot = iota
	oneOrList
	onlyList // a list, and it was none
	element  // of a list: several may take the place of one
)

// accepts makes of a parser the question whether it takes a value.
func accepts[T any](parse func(any) (T, error)) func(any) bool {
	return func(value any) bool {
		_, err := parse(value)
		return err == nil
	}
}

// mostCures bounds the time that a file of a million faults takes.
const mostCures = 200

// refuse reports that value cannot stand at key, with the cure for the habit that wrote
// it. A cure that would be refused in its turn is not told.
func (t *table) refuse(key string, value any, err error, where slot, accept func(any) bool) {
	var m mistake
	if !errors.As(err, &m) {
		m.found = err.Error()
	}
	at := t.report.at().Value(t.pathOf(key))
	if len(t.report.problems) < mostCures {
		c := cure{key: key, want: m.want, value: value, source: t.report.at().Source(at), where: where, accept: accept}
		if fix, say := c.find(); fix != "" || say != "" {
			m.fix, m.cure = fix, say
		}
	}
	text := m.found
	if m.cure != "" {
		text += ": " + m.cure
	}
	t.faultAt(at, key, text).Fix = m.fix
}

// framed makes of TOML values what can stand in a slot, "" if they cannot.
func framed(values string, where slot, accept func(any) bool) string {
	var list struct{ X []any }
	if _, err := toml.Decode("X = ["+values+"]", &list); err != nil || len(list.X) == 0 {
		return ""
	}
	for _, value := range list.X {
		if !accept(value) {
			return ""
		}
	}
	switch {
	case where == onlyList || where == oneOrList && len(list.X) > 1:
		return fmt.Sprintf("[%s]", values)
	case where == oneValue && len(list.X) > 1:
		return ""
	}
	return values
}
