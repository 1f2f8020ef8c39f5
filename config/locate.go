package config

import (
	"errors"

	"anyport/config/position"
)

// Locate gives problems that were found later, when the file was read already, the place
// of their key in it.
func (c *Config) Locate(problems Problems) Problems {
	if c.text == "" || len(problems) == 0 {
		return problems
	}
	doc, at := position.NewDocument(c.text), position.Scan(c.text)
	for i := range problems {
		p := &problems[i]
		path := p.Key
		if p.Route != "" {
			path = position.Join("route", p.Route) + "." + p.Key
		}
		if s := at.Value(path); p.Column == 0 && !s.Empty() {
			p.stand(doc.Caret(s))
		}
	}
	return problems
}

// Detail is what err says; of [Problems] with the lines of the file.
func Detail(err error) string {
	if problems := (Problems)(nil); errors.As(err, &problems) && problems.Error() == err.Error() {
		return problems.Detail()
	}
	return err.Error()
}
