package nftables

// set reads a named set or map.
func (t *table) set(part *cursor) error {
	part.take()
	name := unquoted(part.take())
	if part.kind() != '{' {
		return part.errorf("set %.40q has no block in braces", name)
	}
	s := &set{}
	t.sets[name] = s
	return each(part.block(), false, s.property)
}

// property reads one line of a set. Of a dynamic set, only the rules that change it are of interest.
func (s *set) property(line *cursor) error {
	switch line.look(0) {
	case "flags":
		if line.has("timeout") {
			s.changing = expiring
		}
	case "timeout":
		s.changing = expiring
	case "limit", "quota", "connlimit", "ct":
		s.changing = counting
	case "elements":
		line = line.flat()
		line.take()
		line.skip("=")
		elements, changing, err := line.elements()
		s.elements = append(s.elements, elements...)
		if changing != "" {
			s.changing = changing
		}
		return err
	}
	return nil
}

// elements reads "{ a, b : c }". If the elements come and go, or hold for some packets only,
// changing says so.
func (c *cursor) elements() (all []element, changing string, err error) {
	if !c.skip("{") {
		return nil, "", c.errorf("a list of elements begins with a brace")
	}
	for c.more() && !c.skip("}") {
		if c.skip(",") {
			continue
		}
		before := c.at
		if c.kind() == '{' {
			return nil, "", c.errorf("a list in a list")
		}
		e := element{key: c.value()}
		how, err := c.rest(&e)
		if err != nil {
			return nil, "", err
		}
		if c.at == before {
			return nil, "", c.errorf("%.40q is not an element", c.look(0))
		}
		all = append(all, e)
		if how != "" {
			changing = how
		}
	}
	return all, changing, nil
}

// rest reads what stands after a key: its counter, timeout and comment, and what a map has for it.
func (c *cursor) rest(e *element) (changing string, err error) {
	for c.more() && c.kind() != ',' && c.kind() != '}' {
		switch word := c.take(); word {
		case "timeout", "expires":
			changing = expiring
		case "limit", "quota":
			changing = counting
		case "ct":
			changing = counting
		case "{":
			return "", c.errorf("a list in an element")
		case ":":
			if verdict, is := c.verdict(); is {
				e.verdict = &verdict
			} else if c.kind() != '{' {
				e.data = c.value()
			}
		}
	}
	return changing, nil
}
