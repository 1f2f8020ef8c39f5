package ruleset

// asksForDestination reports whether a rule is for some dsts, and not for those of the whole Internet.
func (r *Rule) asksForDestination() bool {
	for _, c := range r.Conditions {
		if !c.Not && c.asksForDestination() {
			return true
		}
	}
	return false
}

// sendsAway reports whether a rule keeps all dsts but some from the rules after it.
func (r *Rule) sendsAway() bool {
	if r.Action == Jump || r.Action == Goto {
		return false
	}
	for _, c := range r.Conditions {
		if c.Not && c.asksForDestination() {
			return true
		}
	}
	return false
}

// named is whether a condition asks for a dst that is one host's or network's.
type named uint8

const (
	unknown named = iota // no walker has prepared the condition
	everywhere
	someDsts
)

// asksForDestination reports whether each tuple of c has a dst that is one host's or network's.
func (c Condition) asksForDestination() bool {
	if c.named == unknown {
		c.named = c.findNamed()
	}
	return c.named == someDsts
}

func (c Condition) findNamed() named {
	for _, tuple := range c.Any {
		if !asksForDestination(tuple) {
			return everywhere
		}
	}
	return someDsts
}

func asksForDestination(tuple []Atom) bool {
	for _, a := range tuple {
		if a.Field == LocalDestination || a.Field == Destination && narrow(a.Addresses) {
			return true
		}
	}
	return false
}

// narrow reports whether no range is wider than what one network is given: an IPv4 /8, an IPv6 /16.
func narrow(ranges []AddressRange) bool {
	for _, r := range ranges {
		bits := 16
		if r.First.Is4() {
			bits = 8
		}
		network, err := r.First.Prefix(bits)
		if err != nil || !network.Contains(r.Last) {
			return false
		}
	}
	return true
}
