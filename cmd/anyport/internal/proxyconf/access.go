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

// access compiles rules. Its clients are undecided until a rule matches them. Lists may have a
// hundred thousand prefixes: a prefix that covers another one is looked up, not searched.
type access struct {
	undecided []netip.Prefix // what no rule with Other has decided
	decided   verdicts       // a prefix here wins over what comes later, unless that is longer
	order     []netip.Prefix // of decided
	outer     []outerRule    // the outermost first
}

// verdicts are prefixes with whether they are denied.
type verdicts struct {
	denied  map[netip.Prefix]bool
	lengths [129]bool // those that occur, so that longestOver asks only for them
}

// outerRule is a rule with Other: it decides a prefix, except the parts of it that were undecided.
type outerRule struct {
	prefix netip.Prefix
	deny   bool
}

// Access compiles rules of the first match into lists of the longest match. Clients that no rule
// matches are let in. Two empty lists let everyone in.
func Access(rules []AccessRule) (allow, deny []netip.Prefix) {
	a := access{undecided: Everyone(), decided: verdicts{denied: map[netip.Prefix]bool{}}}
	for _, r := range rules {
		if r.Other {
			a.decideAround(r.From, r.Deny)
		} else {
			a.decideWithin(r.From, r.Deny)
		}
	}
	for _, p := range a.undecided {
		a.decide(p, false)
	}
	for _, o := range slices.Backward(a.outer) {
		a.decide(o.prefix, o.deny)
	}
	return a.lists()
}

// decideWithin decides what is undecided of some clients.
func (a *access) decideWithin(from []netip.Prefix, deny bool) {
	for _, scope := range a.undecided {
		for _, p := range from {
			if p, ok := Narrower(p, scope); ok {
				a.decide(p, deny)
			}
		}
	}
}

// decideAround decides what is undecided of all clients but some. Those stay undecided.
func (a *access) decideAround(but []netip.Prefix, deny bool) {
	var inner []netip.Prefix
	known := map[netip.Prefix]bool{}
	for _, scope := range a.undecided {
		a.outer = append(a.outer, outerRule{scope, deny})
		for _, p := range but {
			if p, ok := Narrower(p, scope); ok && !known[p] {
				known[p] = true
				inner = append(inner, p)
			}
		}
	}
	a.undecided = inner
}

// decide is for the clients of a prefix that are not decided by a shorter one.
func (a *access) decide(p netip.Prefix, deny bool) {
	if _, covered := a.decided.longestOver(p); !covered {
		a.decided.add(p, deny)
		a.order = append(a.order, p)
	}
}

func (v *verdicts) add(p netip.Prefix, deny bool) {
	v.denied[p] = deny
	v.lengths[p.Bits()] = true
}

// longestOver is the verdict of the longest prefix that covers p.
func (v *verdicts) longestOver(p netip.Prefix) (deny, ok bool) {
	for bits := p.Bits(); bits >= 0; bits-- {
		if !v.lengths[bits] {
			continue
		}
		if deny, ok = v.denied[netip.PrefixFrom(p.Addr(), bits).Masked()]; ok {
			return deny, true
		}
	}
	return false, false
}

// lists leaves out what a shorter prefix says already. Where some are let in, all others are not, so
// 0.0.0.0/0 stands in allow only if it is needed.
func (a *access) lists() (allow, deny []netip.Prefix) {
	slices.SortStableFunc(a.order, func(x, y netip.Prefix) int { return x.Bits() - y.Bits() })
	kept := verdicts{denied: map[netip.Prefix]bool{}}
	for _, p := range a.order {
		denied := a.decided.denied[p]
		if around, covered := kept.longestOver(p); covered && around == denied {
			continue
		}
		kept.add(p, denied)
		if denied {
			deny = append(deny, p)
		} else {
			allow = append(allow, p)
		}
	}
	return simplified(allow, deny)
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
