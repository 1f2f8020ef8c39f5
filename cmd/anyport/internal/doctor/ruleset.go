package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ruleset is the rules of a packet filter by "table chain", in their order. One type serves iptables and
// nft, and both questions: which TPROXY rules win, and which DNAT rules change a dst.
type ruleset map[string][]chainRule

// chainRule is what matters of any rule. What a parser does not understand makes the rule narrow (for
// TPROXY) or tight (for NAT): it may match fewer packets than it seems, so it hides no later rule.
type chainRule struct {
	Rule
	tproxy    bool
	socket    bool     // it matches packets for which there is a socket: this lookup runs sk_lookup
	accepts   bool     // no further rule of the table sees what it matches
	jump      string   // "table chain" that goes on, which may be a target of the packet filter instead
	protocols []string // none: any
	narrow    bool     // it asks for more than protocol, dst and socket

	match   match  // for NAT
	nat     string // what it makes of dst; "": it leaves that alone
	returns bool   // to the chain before
	tight   bool   // it asks for more than match, and than that dst is local
}

// add appends a rule: the order decides which rule a packet meets first.
func (s ruleset) add(chain string, r chainRule) { s[chain] = append(s[chain], r) }

// tproxy returns the TPROXY rules, those first that packets meet from these chains on. Of
// each it tells which rule before it accepts the packets that anyport steers.
func (s ruleset) tproxy(starts ...string) []Rule {
	w := walk{ruleset: s, seen: map[string]bool{}}
	for _, start := range starts {
		w.diverts, w.spares = nil, nil
		w.chain(start)
	}
	w.diverts, w.spares = nil, nil
	for _, chain := range s.names() {
		w.chain(chain) // that nothing leads to: perhaps something will
	}
	return w.found
}

// diverts returns the rules that match packets which have a socket, and go on to a chain or accept them. Of
// one that leads to a chain of its own, Delete removes that, too.
func (s ruleset) diverts() (all []Rule) {
	for _, name := range s.names() {
		for _, r := range s[name] {
			if !r.socket || r.tproxy {
				continue
			}
			if chain, ok := s.iptablesChain(r); ok {
				r.Delete += chain
			}
			all = append(all, r.Rule)
		}
	}
	return all
}

// iptablesChain returns the commands that remove the chain of iptables that only r leads to.
func (s ruleset) iptablesChain(r chainRule) (commands string, ok bool) {
	table, chain, _ := strings.Cut(r.jump, " ")
	command, _, isIptables := strings.Cut(r.Delete, " -t ")
	leading := 0
	for _, rules := range s {
		for _, other := range rules {
			if other.jump == r.jump {
				leading++
			}
		}
	}
	if !isIptables || len(s[r.jump]) == 0 || leading != 1 {
		return "", false
	}
	return fmt.Sprintf("\n%[1]s -t %[2]s -F %[3]s\n%[1]s -t %[2]s -X %[3]s", command, table, chain), true
}

// names are the chains in a fixed order, so that a report does not change from run to run.
func (s ruleset) names() []string {
	var all []string
	for name := range s {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// walk goes through the rules as a packet does, and lives for one report. It visits each chain once.
type walk struct {
	ruleset
	seen    map[string]bool
	diverts []chainRule // passed so far
	spares  []chainRule // rules passed so far that accept all packets for their dsts
	found   []Rule
}

// chain visits a chain once. A socket match that accepts diverts packets from all later TPROXY rules, and a rule
// that accepts all packets for its dsts spares them; one that returns does so for the rest of this chain.
func (w *walk) chain(name string) {
	if w.seen[name] {
		return
	}
	w.seen[name] = true
	var returns []chainRule
	for _, r := range w.ruleset[name] {
		switch {
		case r.tproxy:
			if i := slices.IndexFunc(w.diverts, func(d chainRule) bool { return d.covers(r) }); i >= 0 {
				r.Diverted = w.diverts[i].Text
			}
			r.Spared = r.sparedBy(slices.Concat(w.spares, returns))
			w.found = append(w.found, r.Rule)
		case r.socket && (r.accepts || w.accepting(r.jump)):
			w.diverts = append(w.diverts, r)
		case r.socket: // it decides about some packets only
		case r.accepts:
			w.spares = append(w.spares, r)
		case r.returns:
			returns = append(returns, r)
		case r.jump != "":
			diverts, spares := len(w.diverts), len(w.spares)
			w.chain(r.jump)
			w.diverts = append(w.diverts[:diverts:diverts], r.restrict(w.diverts[diverts:])...)
			w.spares = append(w.spares[:spares:spares], r.restrict(w.spares[spares:])...)
		}
	}
}

// sparedBy returns the dsts that r sees no packets for, since rules before it decide about all of these.
func (r chainRule) sparedBy(before []chainRule) (all []netip.Prefix) {
	for _, d := range before {
		switch {
		case !d.ofProtocols(r):
		case len(d.Dst) == 0:
			return prefixes([]string{"0.0.0.0/0", "::/0"})
		default:
			all = append(all, d.Dst...)
		}
	}
	return all
}

// restrict returns the rules of a chain that r jumps to, as far as they hold after it: only for the
// packets that r matches. If both ask for prefixes, it leaves the rule out rather than intersect them.
func (r chainRule) restrict(inside []chainRule) (all []chainRule) {
	for _, d := range inside {
		if r.narrow || len(r.Dst) > 0 && len(d.Dst) > 0 || len(r.protocols) > 0 && len(d.protocols) > 0 && !within(d.protocols, r.protocols) {
			continue
		}
		if len(d.protocols) == 0 {
			d.protocols = r.protocols
		}
		if len(d.Dst) == 0 {
			d.Dst = r.Dst
		}
		all = append(all, d)
	}
	return all
}

// accepting reports whether a chain accepts whatever comes to it.
func (w *walk) accepting(chain string) bool {
	return slices.ContainsFunc(w.ruleset[chain], func(r chainRule) bool {
		return r.accepts && !r.narrow && !r.socket && len(r.protocols) == 0 && len(r.Dst) == 0
	})
}

// covers reports whether d matches all packets of other for which there is a socket.
func (d chainRule) covers(other chainRule) bool {
	return d.ofProtocols(other) && (len(d.Dst) == 0 || len(other.Dst) > 0 && holdsAll(d.Dst, other.Dst))
}

// ofProtocols reports whether d asks for nothing but its dst and protocols, and these are all of other's.
func (d chainRule) ofProtocols(other chainRule) bool {
	return !d.narrow && (len(d.protocols) == 0 || len(other.protocols) > 0 && within(other.protocols, d.protocols))
}

// within reports whether all words of some are in all. An empty all contains nothing, so callers check first
// whether it stands for any.
func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(word string) bool { return !slices.Contains(all, word) })
}
