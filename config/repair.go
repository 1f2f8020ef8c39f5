package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// A repair is a cure that was applied to a text which is not TOML, so that the rest of
// the file can be read and its mistakes told, too.
type repair struct {
	at  span // in the text before it
	fix string
}

// original is where s stands in the file, before all repairs.
func (p *positions) original(s span) span {
	for i := len(p.repairs) - 1; i >= 0; i-- {
		r := p.repairs[i]
		s = span{r.back(s.start, r.at.start), r.back(s.end, r.at.end)}
	}
	return s
}

// back is where an offset was before r; inside is its place where r wrote it.
func (r repair) back(offset, inside int32) int32 {
	end := r.at.start + int32(len(r.fix))
	switch {
	case offset <= r.at.start:
		return offset
	case offset >= end:
		return offset - end + r.at.end
	}
	return inside
}

// within is the repair that wrote s, and where it stands in its fix; -1 if none did.
func (p *positions) within(s span) (index int, inside span) {
	for i := len(p.repairs) - 1; i >= 0; i-- {
		r := p.repairs[i]
		if r.at.start <= s.start && s.end <= r.at.start+int32(len(r.fix)) {
			return i, span{s.start - r.at.start, s.end - r.at.start}
		}
		s = span{r.back(s.start, r.at.start), r.back(s.end, r.at.end)}
	}
	return -1, span{}
}

// joinFixes makes one problem of what a repair wrote and what is wrong with that, so that
// nobody is told to write what is refused then. The problem of a repair has its index.
func (r *report) joinFixes() {
	inner := map[int][]repair{}
	all := Problems{}
	for i, p := range r.problems {
		index, inside := r.at().within(r.spans[i])
		if p.Fix == "" || r.spans[i].empty() || index < 0 {
			all = append(all, p)
			continue
		}
		inner[index] = append(inner[index], repair{inside, p.Fix})
	}
	for index, fixes := range inner {
		p := &all[index]
		fix := p.Fix
		slices.SortFunc(fixes, func(a, b repair) int { return cmp.Compare(b.at.start, a.at.start) })
		for _, f := range fixes {
			fix = fix[:f.at.start] + f.fix + fix[f.at.end:]
		}
		p.Text = strings.Replace(p.Text, "write "+printable(p.Fix), "write "+fix, 1)
		p.Fix = fix
	}
	r.problems = all
}

// mostRepairs bounds the time: each reads the file again.
const mostRepairs = 50

// mostText is how large a text may be, in bytes, to be repaired.
const mostText = 1 << 18

// decode reads a text as TOML. Where it is not, the problems say why, and what is
// returned are the values of the text as repaired, or nil if nobody knows how.
func decode(file string, source document) (map[string]any, *positions, Problems) {
	p := &positions{text: source.string}
	rep := newReport(file, source, p)
	for {
		var values map[string]any
		_, err := toml.Decode(p.text, &values)
		if err == nil {
			if values == nil {
				values = map[string]any{}
			}
			return values, p, rep.problems
		}
		if len(rep.problems) == 0 && rep.foreign() {
			return nil, nil, rep.problems
		}
		s := newSlip(p, err)
		found, ok := s.cure()
		route, key := s.where()
		problem := rep.mark(found.at, route, key, printable(found.say))
		if !ok || len(p.repairs) == mostRepairs {
			_ = rep.err() // puts them in order
			return nil, nil, rep.problems
		}
		problem.Fix = found.fix
		p.apply(found.repair)
	}
}

func (p *positions) apply(r repair) {
	p.text = p.text[:r.at.start] + r.fix + p.text[r.at.end:]
	p.repairs = append(p.repairs, r)
}
