package proxyconf

import (
	"net/netip"
	"slices"
)

// AccessRule lets clients in, or refuses them. The first rule that matches a client decides.
type AccessRule struct {
	From  []netip.Prefix
	Other bool // it matches all clients but From
	Deny  bool
}

// verdict is what a prefix of clients gets.
type verdict struct {
	prefix netip.Prefix
	deny   bool
}

// access compiles rules. Its clients are undecided until a rule matches them.
type access struct {
	undecided []netip.Prefix // disjoint from what rules with Other have decided
	decided   []verdict      // a prefix here wins over what comes later, unless that is longer
	outer     []verdict      // of rules with Other, the outermost first: what is around undecided
}

// Access compiles rules of the first match into lists of the longest match. Clients that no rule
// matches are let in. Two empty lists let everyone in.
func Access(rules []AccessRule) (allow, deny []netip.Prefix) {
	a := access{undecided: Everyone()}
	for _, r := range rules {
		if r.Other {
			a.decideAround(r.From, r.Deny)
		} else {
			a.decideWithin(r.From, r.Deny)
		}
	}
	a.decideWithin(a.undecided, false)
	for _, v := range slices.Backward(a.outer) {
		a.decide(v)
	}
	return a.lists()
}

// decideWithin decides what is undecided of some clients.
func (a *access) decideWithin(from []netip.Prefix, deny bool) {
	for _, scope := range a.undecided {
		for _, p := range from {
			if p, ok := Narrower(p, scope); ok {
				a.decide(verdict{p, deny})
			}
		}
	}
}

// decideAround decides what is undecided of all clients but some. Those stay undecided.
func (a *access) decideAround(but []netip.Prefix, deny bool) {
	var inner []netip.Prefix
	for _, scope := range a.undecided {
		a.outer = append(a.outer, verdict{scope, deny})
		for _, p := range but {
			if p, ok := Narrower(p, scope); ok && !slices.Contains(inner, p) {
				inner = append(inner, p)
			}
		}
	}
	a.undecided = inner
}

// decide is for the clients of a prefix that are not decided by a shorter one.
func (a *access) decide(v verdict) {
	if !slices.ContainsFunc(a.decided, func(d verdict) bool { return covers(d.prefix, v.prefix) }) {
		a.decided = append(a.decided, v)
	}
}

// lists leaves out what a shorter prefix says already. Where some are let in, all others are not, so
// 0.0.0.0/0 stands in allow only if it is needed.
func (a *access) lists() (allow, deny []netip.Prefix) {
	slices.SortStableFunc(a.decided, func(x, y verdict) int { return x.prefix.Bits() - y.prefix.Bits() })
	var kept []verdict
	for _, v := range a.decided {
		if around := nearest(kept, v.prefix); around == nil || around.deny != v.deny {
			kept = append(kept, v)
		}
	}
	for _, v := range kept {
		if v.deny {
			deny = append(deny, v.prefix)
		} else {
			allow = append(allow, v.prefix)
		}
	}
	return simplified(allow, deny)
}

// nearest is the longest prefix of the list that covers p.
func nearest(list []verdict, p netip.Prefix) *verdict {
	for i, v := range slices.Backward(list) {
		if covers(v.prefix, p) {
			return &list[i]
		}
	}
	return nil
}

// simplified drops the prefixes of all addresses where the lists mean the same without them.
func simplified(allow, deny []netip.Prefix) ([]netip.Prefix, []netip.Prefix) {
	whole := func(p netip.Prefix) bool { return p.Bits() == 0 }
	partly := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Bits() > 0 })
	}
	if !slices.ContainsFunc(deny, whole) && !partly(allow) {
		return nil, deny
	}
	if partly(allow) && !slices.ContainsFunc(allow, whole) {
		deny = slices.DeleteFunc(deny, whole)
	}
	return allow, deny
}
