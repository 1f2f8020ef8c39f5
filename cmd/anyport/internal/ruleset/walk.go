package ruleset

import (
	"cmp"
	"net/netip"
	"slices"
)

// Verdict is what the rules of prerouting do with the first packet of a conn or flow.
type Verdict uint8

// The verdicts.
const (
	Untouched Verdict = iota // routed by its dst, as if there were no rules
	Intercepted
	Dropped
	Rejected
)

// String is the verdict as reports have it.
func (v Verdict) String() string {
	return [...]string{"untouched", "intercepted", "dropped", "rejected"}[v]
}

// Outcome is a verdict and the rules behind it.
type Outcome struct {
	Verdict Verdict
	Chain   *Chain // of Rule, or the base chain whose policy dropped the packet
	Rule    *Rule  // it intercepts, drops or rejects; Untouched: the one that spared the packet, nil if none did
	Instead *Rule  // of any verdict but Intercepted: the rule that would intercept the packet if Rule were not there
	Named   bool   // a rule on the way to the interception asks for dst: it isn't for traffic to everywhere
	Also    *Rule  // of nat, which changes the dst of a packet that TPROXY has taken: what follows is not known
	// Unsure are the rules with Unknown whose other conditions hold. The verdict is as if none of them
	// matched. Where jumps never end, it is the rule at which the walk was given up.
	Unsure []*Rule
}

// Walker answers for one ruleset, which must not change. It is not safe for concurrent use.
type Walker struct {
	hooked []*Chain // to prerouting, in the kernel's order
	chains map[chainName]*Chain
	leads  map[*Chain]bool // to an interception; a chain under examination counts as none
}

type chainName struct{ family, table, name string }

// NewWalker prepares walks through s. It sorts the long lists of addresses in it.
func NewWalker(s *Ruleset) *Walker {
	w := &Walker{chains: map[chainName]*Chain{}, leads: map[*Chain]bool{}}
	for _, c := range s.Chains {
		w.chains[chainName{c.Family, c.Table, c.Name}] = c
		for _, r := range c.Rules {
			r.prepare()
		}
		if c.Hook == "prerouting" && (c.Family == "ip" || c.Family == "ip6" || c.Family == "inet") {
			w.hooked = append(w.hooked, c)
		}
	}
	slices.SortStableFunc(w.hooked, func(a, b *Chain) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, c := range s.Chains {
		w.intercepts(c)
	}
	return w
}

// prepare does once what each walk needs.
func (r *Rule) prepare() {
	for i := range r.Conditions {
		condition := &r.Conditions[i]
		for _, tuple := range condition.Any {
			for i := range tuple {
				tuple[i].sortAddresses()
			}
		}
		condition.named, condition.index = condition.findNamed(), newIndex(condition.Any)
	}
}

// Walk returns what happens to p. It ends with a rule of nat that takes the packet: later chains see
// another dst.
func (w *Walker) Walk(p Packet) Outcome {
	s := step{Walker: w, packet: p}
	s.bases()
	if s.Verdict == Intercepted || s.Verdict == Untouched && len(s.spared) == 0 {
		return s.Outcome
	}
	o := s.Outcome
	if o.Verdict == Untouched {
		o.Rule = w.sparer(p, s.spared)
	}
	all := step{Walker: w, packet: p, undeterred: true}
	if all.bases(); all.Verdict == Intercepted {
		o.Instead, o.Named = all.Rule, all.Named
	} else if o.Verdict == Untouched {
		o.Rule = nil // it spared the packet from nothing
	}
	return o
}

// sparer returns the rule without which the packet would be intercepted; the last, where several would
// each have spared it.
func (w *Walker) sparer(p Packet, spared []*Rule) *Rule {
	for _, r := range spared {
		without := step{Walker: w, packet: p, ignored: r}
		if without.bases(); without.Verdict == Intercepted {
			return r
		}
	}
	return spared[len(spared)-1]
}

// sees reports whether packets to an address of this family enter c.
func (c *Chain) sees(dst netip.Addr) bool {
	return c.Family == "inet" || dst.Is4() == (c.Family == "ip")
}

// Target returns the chain that a rule of c jumps to, nil if the input has none of that name.
func (w *Walker) Target(c *Chain, r *Rule) *Chain {
	if r.Action != Jump && r.Action != Goto {
		return nil
	}
	return w.chains[chainName{c.Family, c.Table, r.Chain}]
}

// Loop returns a chain that leads to itself, which the kernel accepts in no ruleset; nil if there is none.
func (w *Walker) Loop(s *Ruleset) *Chain {
	const inside, done = 1, 2
	state := map[*Chain]int{}
	var loop func(c *Chain) *Chain
	loop = func(c *Chain) *Chain {
		if state[c] == inside {
			return c
		}
		if state[c] == done {
			return nil
		}
		state[c] = inside
		for _, r := range c.Rules {
			if next := w.Target(c, r); next != nil {
				if found := loop(next); found != nil {
					return found
				}
			}
		}
		state[c] = done
		return nil
	}
	for _, c := range s.Chains {
		if found := loop(c); found != nil {
			return found
		}
	}
	return nil
}

// Leads reports whether packets in c may get to a rule that intercepts.
func (w *Walker) Leads(c *Chain) bool { return w.leads[c] }

// intercepts reports whether a rule of c, or of a chain that c leads to, intercepts.
func (w *Walker) intercepts(c *Chain) bool {
	if leads, known := w.leads[c]; known {
		return leads
	}
	w.leads[c] = false
	for _, r := range c.Rules {
		next := w.Target(c, r)
		if r.Action == Intercept || next != nil && w.intercepts(next) {
			w.leads[c] = true
			return true
		}
	}
	return false
}
