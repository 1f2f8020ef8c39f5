package nftables

import (
	"fmt"

	"anyport/cmd/anyport/internal/ruleset"
)

// Bounds of what one input may stand for: each map is there again in each rule that uses it.
const (
	mostRules  = 1 << 18
	mostValues = 1 << 23
)

// translator is how far a document was translated.
type translator struct {
	out       *ruleset.Ruleset
	table     *table
	sets      map[inSet]members // of the table, as they were translated
	untracked bool              // a rule has notrack
	rules     int
	values    int
}

// inSet is a set as a rule uses it: what is looked up in it.
type inSet struct{ key, name string }

// members are the elements of a set. One with everything has "*".
type members struct {
	everything bool
	tuples     [][]ruleset.Atom
}

// translate makes the common form of a document.
func translate(d *document) (*ruleset.Ruleset, error) {
	t := translator{out: &ruleset.Ruleset{}}
	for _, table := range d.tables {
		t.untracked = t.untracked || table.prepare()
	}
	for _, table := range d.tables {
		if why := table.skipped(); why != "" {
			t.skip(table, why)
			continue
		}
		t.table, t.sets = table, map[inSet]members{}
		for _, c := range table.chains {
			if err := t.chain(c); err != nil {
				return nil, err
			}
		}
	}
	return t.out, nil
}

func (t *translator) chain(c *chain) error {
	to := &ruleset.Chain{Family: t.table.family, Table: t.table.name, Name: c.name, Hook: c.hook, Kind: c.kind, Priority: c.priority,
		Policy: ruleset.Accept, Owner: ruleset.OwnerOf(t.table.name, c.name)}
	if c.drop {
		to.Policy = ruleset.Drop
	}
	t.out.Chains = append(t.out.Chains, to)
	for i, r := range c.rules {
		p := part{translator: t, chain: to, rule: r, number: i + 1, text: r.text()}
		p.all()
		if p.isFull() {
			return fmt.Errorf("line %d, chain %.40q, rule %d: the sets and maps of this ruleset, used in rule after rule, hold more than anyport reads",
				r.line, c.name, i+1)
		}
		to.Rules = append(to.Rules, p.out...)
	}
	return nil
}

// isFull reports whether the input stands for too much.
func (t *translator) isFull() bool { return t.rules > mostRules || t.values > mostValues }

// prepare marks the sets that packets change, and reports whether a rule has notrack.
func (t *table) prepare() (untracks bool) {
	for _, c := range t.chains {
		for _, r := range c.rules {
			for _, s := range r.statements {
				untracks = untracks || s.verb == untrack
				if s.verb == asks && s.right != nil && t.sets[s.right.text] != nil {
					t.sets[s.right.text].changing = learning
				}
			}
		}
	}
	return untracks
}

// skipped says why no packet for a socket of this host passes the table.
func (t *table) skipped() string {
	switch {
	case t.dormant:
		return "the table is dormant"
	case t.family != "ip" && t.family != "ip6" && t.family != "inet":
		return "the family " + t.family + " has no equal"
	}
	return ""
}

func (t *translator) skip(from *table, why string) {
	s := ruleset.Skipped{Family: from.family, Table: from.name, Reason: why}
	for _, c := range from.chains {
		s.Rules += len(c.rules)
		for _, r := range c.rules {
			s.Intercepts = s.Intercepts || r.intercepts()
		}
	}
	t.out.Skipped = append(t.out.Skipped, s)
}

// intercepts reports whether the rule takes packets from their way: also by other means than those of
// the families that are read.
func (r *rule) intercepts() bool {
	for _, s := range r.statements {
		switch {
		case s.verb == tproxy || s.verb == redirect || s.verb == dnat || s.verb == unclear:
			return true
		case s.verb == change && (s.left.text == "meta broute" || s.left.text == "meta pkttype" || s.left.text == "ether daddr"):
			return true
		}
	}
	return false
}
