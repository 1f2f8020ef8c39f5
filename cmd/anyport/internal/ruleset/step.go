package ruleset

// step is the state of one packet on its way through the rules. It lives for one pass.
type step struct {
	*Walker
	Outcome
	packet     Packet
	undeterred bool    // rules that keep a packet from later rules are ignored
	ignored    *Rule   // this one is
	spared     []*Rule // Accept and Return, as they were met
	named      []*Rule // the jumps to the current chain, and its rules that sent other dsts away
	visited    int     // rules
}

// signal is how a chain was left: what nf_tables calls a verdict, seen from the chain before.
type signal uint8

const (
	ended    signal = iota // at its end, or by Return: the chain before goes on
	accepted               // the next base chain goes on
	gone                   // no later rule sees the packet
)

// mostVisited bounds a pass: few chains that jump to each other often have very many ways through.
const mostVisited = 1 << 15

// bases sends the packet through the base chains.
func (s *step) bases() {
	for _, base := range s.hooked {
		if !base.sees(s.packet.Destination.Addr()) {
			continue
		}
		switch s.chain(base) {
		case gone:
			return
		case ended:
			if base.Policy == Drop && !s.undeterred {
				s.Verdict, s.Chain, s.Rule = Dropped, base, nil
				return
			}
		}
	}
}

// chain sends the packet through c.
func (s *step) chain(c *Chain) signal {
	jumps := len(s.named)
	defer func() { s.named = s.named[:jumps] }()
	for _, r := range c.Rules {
		if s.visited++; s.visited > mostVisited {
			s.giveUp(r)
			return gone
		}
		if r == s.ignored || !s.matches(r) {
			continue
		}
		if r.SetMark != nil {
			s.packet.Mark = s.packet.Mark&^r.SetMark.Mask ^ r.SetMark.Value
		}
		if how, left := s.apply(c, r); left {
			return how
		}
	}
	return ended
}

// giveUp marks the outcome as not known, once.
func (s *step) giveUp(r *Rule) {
	if s.visited == mostVisited+1 {
		s.Unsure = append(s.Unsure, r)
	}
}

// matches reports whether r does what it does to the packet. A rule that is not understood does not.
func (s *step) matches(r *Rule) bool {
	failed, only := 0, true // conditions that fail, and whether they all ask for another dst
	for _, c := range r.Conditions {
		if !c.Holds(s.packet) {
			failed++
			only = only && c.Not && c.asksForDestination()
		}
	}
	switch {
	case failed > 0 && only && r.Action != Continue && r.Action != Intercept:
		s.named = append(s.named, r)
	case failed == 0 && r.Unknown != "":
		s.Unsure = append(s.Unsure, r)
	}
	return failed == 0 && r.Unknown == ""
}

// apply carries out a rule that matches. If left is false, the next rule of c follows.
func (s *step) apply(c *Chain, r *Rule) (how signal, left bool) {
	switch r.Action {
	case Accept, Return:
		return s.spare(r)
	case Drop, Reject:
		return s.discard(c, r)
	case Intercept:
		return s.intercept(c, r)
	}
	next := s.Target(c, r)
	if next == nil {
		return 0, false
	}
	s.named = append(s.named, r)
	how = s.chain(next)
	s.named = s.named[:len(s.named)-1]
	return how, how != ended || r.Action == Goto
}

// spare keeps the packet from the rules after r: of this chain, or of this base chain. With undeterred it does not, which
// shows what would intercept the packet without such rules.
func (s *step) spare(r *Rule) (signal, bool) {
	if s.Verdict == Untouched {
		s.spared = append(s.spared, r)
	}
	if r.Action == Return {
		return ended, !s.undeterred
	}
	return accepted, !s.undeterred
}

// discard ends the walk: a dropped packet enters no later base chain.
func (s *step) discard(c *Chain, r *Rule) (signal, bool) {
	if s.undeterred {
		return 0, false
	}
	s.Verdict, s.Chain, s.Rule = Dropped, c, r
	if r.Action == Reject {
		s.Verdict = Rejected
	}
	return gone, true
}

// intercept: a second rule of TPROXY takes the packet from the first.
func (s *step) intercept(c *Chain, r *Rule) (signal, bool) {
	if s.Verdict == Intercepted && r.To.Mechanism != TProxy {
		s.Also = r
		return gone, true
	}
	s.Verdict, s.Chain, s.Rule, s.Named = Intercepted, c, r, r.asksForDestination()
	for _, jump := range s.named {
		s.Named = s.Named || jump.asksForDestination() || jump.sendsAway()
	}
	if r.To.Mechanism == TProxy {
		return accepted, !r.Continues
	}
	return gone, true
}
