package position

// A Repair is a cure that was applied to a text that is not TOML, so that the rest of the file
// can be read and its mistakes reported too. Fix is never empty: where nothing is written, it
// could not be said which side of the place a position belongs to.
type Repair struct {
	At  Span // in the text before it
	Fix string
}

// Original is where s stands in the file, before all repairs.
func (p *Map) Original(s Span) Span {
	for i := len(p.repairs) - 1; i >= 0; i-- {
		r := p.repairs[i]
		s = Span{r.back(s.Start, r.At.Start), r.back(s.End, r.At.End)}
	}
	return s
}

// back is where an offset was before r; inside is its place where r wrote it.
func (r Repair) back(offset, inside int32) int32 {
	end := r.At.Start + int32(len(r.Fix))
	switch {
	case offset <= r.At.Start:
		return offset
	case offset >= end:
		return offset - end + r.At.End
	}
	return inside
}

// Within is the repair that wrote s, and where it stands in its fix; -1 if none did.
func (p *Map) Within(s Span) (index int, inside Span) {
	for i := len(p.repairs) - 1; i >= 0; i-- {
		r := p.repairs[i]
		if r.At.Start <= s.Start && s.End <= r.At.Start+int32(len(r.Fix)) {
			return i, Span{s.Start - r.At.Start, s.End - r.At.Start}
		}
		s = Span{r.back(s.Start, r.At.Start), r.back(s.End, r.At.End)}
	}
	return -1, Span{}
}

// Apply repairs the text; what is scanned next is the text after it.
func (p *Map) Apply(r Repair) {
	p.Text = p.Text[:r.At.Start] + r.Fix + p.Text[r.At.End:]
	p.repairs = append(p.repairs, r)
}

// Repairs is how many were applied.
func (p *Map) Repairs() int { return len(p.repairs) }
