package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"anyport/config/position"
)

// mergeFixes joins the problem of a repair with the problems of what the repair wrote, so that
// no message suggests something that is refused next. The problem of a repair has the
// index of the repair.
func (r *report) mergeFixes() {
	inner := map[int][]position.Repair{}
	all := Problems{}
	for i, p := range r.problems {
		index, inside := r.at().Within(r.spans[i])
		if p.Fix == "" || r.spans[i].Empty() || index < 0 {
			all = append(all, p)
			continue
		}
		inner[index] = append(inner[index], position.Repair{At: inside, Fix: p.Fix})
	}
	for index, fixes := range inner {
		p := &all[index]
		fix := p.Fix
		slices.SortFunc(fixes, func(a, b position.Repair) int { return cmp.Compare(b.At.Start, a.At.Start) })
		for _, f := range fixes {
			fix = fix[:f.At.Start] + f.Fix + fix[f.At.End:]
		}
		p.Text = strings.Replace(p.Text, "write "+printable(p.Fix), "write "+fix, 1)
		p.Fix = fix
	}
	r.problems = all
}

// maxRepairs bounds the time: each reads the file again.
const maxRepairs = 50

// maxRepairable is how large a text may be, in bytes, to be repaired.
const maxRepairable = 1 << 18

// decode reads a text as TOML. Where it is not, the problems say why, and what is
// returned are the values of the text as repaired, or nil if nobody knows how.
func decode(file string, source position.Document) (map[string]any, *position.Map, Problems) {
	p := position.New(source.Text)
	rep := newReport(file, source, p)
	for {
		var values map[string]any
		_, err := toml.Decode(p.Text, &values)
		if err == nil {
			if values == nil {
				values = map[string]any{}
			}
			return values, p, rep.problems
		}
		if len(rep.problems) == 0 && rep.foreign() {
			return nil, nil, rep.problems
		}
		s := newSyntaxError(p, err)
		found, ok := s.cure()
		route, key := s.routeAndKey()
		problem := rep.addAt(found.At, route, key, printable(found.say))
		if !ok || p.Repairs() == maxRepairs {
			_ = rep.err() // puts them in order
			return nil, nil, rep.problems
		}
		problem.Fix = found.Fix
		p.Apply(found.Repair)
	}
}
