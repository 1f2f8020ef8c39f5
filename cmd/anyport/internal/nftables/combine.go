package nftables

import "anyport/cmd/anyport/internal/ruleset"

// ParseBoth reads one ruleset in both forms. Each leaves out what the other has: the text of nft 1.0.6
// has no maps of ports for tproxy, and of rules of iptables it does not tell an ignored comment from a
// match that is not installed; its JSON has no arguments of targets of iptables, and breaks off where
// a table has flags. A rule is taken from the form in which it is understood.
func ParseBoth(text, json string) (*ruleset.Ruleset, error) {
	fromText, err := Parse(text)
	if err != nil {
		return nil, err
	}
	fromJSON, err := Parse(json)
	if err != nil || !sameChains(fromText, fromJSON) {
		return fromText, nil // it broke off, or the rules changed in between
	}
	for i, c := range fromText.Chains {
		c.Rules = understood(c.Rules, fromJSON.Chains[i].Rules)
	}
	return fromText, nil
}

// sameChains makes sure that the two lists are of one ruleset: nft was run twice, and somebody may have changed the rules
// in between. Rules cannot be compared by their text, which differs.
func sameChains(a, b *ruleset.Ruleset) bool {
	if len(a.Chains) != len(b.Chains) {
		return false
	}
	for i, c := range a.Chains {
		other := b.Chains[i]
		if c.Family != other.Family || c.Table != other.Table || c.Name != other.Name || lastNumber(c.Rules) != lastNumber(other.Rules) {
			return false
		}
	}
	return true
}

// lastNumber is how many rules of the input there are: some became several here.
func lastNumber(rules []*ruleset.Rule) int {
	if len(rules) == 0 {
		return 0
	}
	return rules[len(rules)-1].Number
}

// understood takes each rule from text, unless it is understood in the other form only.
func understood(text, other []*ruleset.Rule) (all []*ruleset.Rule) {
	for len(text) > 0 || len(other) > 0 {
		mine, rest := first(text)
		its, others := first(other)
		if unknown(mine) && !unknown(its) {
			for _, r := range its {
				r.Line = mine[0].Line
			}
			mine = its
		}
		all = append(all, mine...)
		text, other = rest, others
	}
	return all
}

// first are the rules that one rule of the input became.
func first(rules []*ruleset.Rule) (one, rest []*ruleset.Rule) {
	n := 0
	for n < len(rules) && rules[n].Number == rules[0].Number {
		n++
	}
	return rules[:n], rules[n:]
}

// unknown: no rule at all is as bad as one that is not understood.
func unknown(rules []*ruleset.Rule) bool {
	for _, r := range rules {
		if r.Unknown != "" {
			return true
		}
	}
	return len(rules) == 0
}
