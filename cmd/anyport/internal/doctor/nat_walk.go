package doctor

import (
	"slices"
)

// natWalk goes through the rules as a packet to a served address does. It visits a chain each time that
// a rule jumps there, with the packets that this rule matches.
type natWalk struct {
	ruleset
	start string // its chain
	spare string // NAT.Spare
	steps int
	path  []string // the chains from start to this one: the kernel allows no circle
	found []NAT
}

// These bound a walk: a cluster has tens of thousands of rules. With more prefixes than mostDst, rules
// for other prefixes are left out afterwards; if more than mostCut rules accept packets, some of these
// may be reported as taken.
const mostSteps, mostNAT, mostCut, mostDst = 1 << 17, 1 << 10, 1 << 8, 64

// walk returns the rules that change the dst of packets which come to the chain start.
func (w *natWalk) walk(come match) []NAT {
	if len(come.dst) > mostDst {
		come.dst = nil
	}
	w.chain(w.start, come, nil)
	return w.found
}

// chain goes through a chain with the packets that come matches and cut does not. It returns
// what is decided there, so that no further rule sees it. The caller's cut is never changed: clip makes append
// copy it, since the chains that jump here share it.
func (w *natWalk) chain(name string, come match, cut []match) (decided []match) {
	if slices.Contains(w.path, name) {
		return nil
	}
	w.path = append(w.path, name)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	cut = slices.Clip(cut)
	for _, r := range w.ruleset[name] {
		if w.steps++; w.steps > mostSteps || len(w.found) == mostNAT {
			return decided
		}
		taken, any := come.and(r.match)
		if !any {
			continue
		}
		var over []match
		switch {
		case r.nat != "":
			w.found = append(w.found, NAT{Text: r.Text, To: r.nat, Chain: name, Start: w.start, Spare: w.spare, match: taken, cut: cut})
			over = []match{taken}
		case r.accepts:
			over = []match{taken}
		case r.returns:
			if !r.tight && len(cut) < mostCut { // to the chain before, which goes on
				cut = append(cut, taken)
			}
			continue
		case r.jump != "":
			over = w.chain(r.jump, taken, cut)
		}
		if r.tight || len(cut)+len(over) > mostCut { // it does not match all of that
			continue
		}
		cut, decided = append(cut, over...), append(decided, over...)
	}
	return decided
}
