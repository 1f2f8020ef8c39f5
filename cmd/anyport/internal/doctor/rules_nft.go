package doctor

import (
	"fmt"
	"slices"
	"strings"

	"anyport/config/form"
)

// The parts of a rule as nft prints it.
var (
	nftDst      = form.New(`ip6? daddr (\{[^}]*\}|[^\s{]+)`)
	nftProtocol = form.New(`(?:meta l4proto|ip protocol|ip6 nexthdr) (\{[^}]*\}|[^\s{]+)`)
	nftJump     = form.New(`\b(?:jump|goto) (\S+)`)
	nftHandle   = form.New(`^(.*?)\s*# handle (\d+)$`)
)

// joined is what stands between the lines of one list of elements.
var joined = form.New(`,\n\s*`)

// parseNft returns the tproxy rules of what nft prints, except for those that iptables
// made: iptables-save has them.
func parseNft(text string) []Rule {
	set, starts := nftRules(text)
	var chains []string
	for _, s := range starts {
		chains = append(chains, s.chain)
	}
	return set.tproxy(chains...)
}

// start is a base chain of nft.
type start struct{ chain, kind string }

// nftRules reads "nft list ruleset" line by line: tables, chains and the elements of maps, which a rule
// may name. starts are the chains with a hook, where packets enter.
func nftRules(text string) (ruleset, []start) {
	set := ruleset{}
	var starts []start
	maps := map[string]string{}
	table, chain := "", ""
	text = joined().ReplaceAllString(text, ", ") // elements, one to a line
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case len(words) > 2 && words[0] == "table":
			table = words[1] + " " + words[2]
		case len(words) > 1 && (words[0] == "chain" || words[0] == "map" || words[0] == "set"):
			chain = words[1]
		case len(words) > 1 && words[0] == "elements":
			maps[table+" @"+chain] = line[max(strings.Index(line, "{"), 0):]
		case len(words) > 3 && words[0] == "type" && words[2] == "hook":
			starts = append(starts, start{table + " " + chain, words[1] + " " + words[3]}) // a base chain
		case len(words) > 0 && words[0] != "}" && words[0] != "type" && words[0] != "flags":
			r := nftRule(table, chain, line)
			r.natOfNft(table)
			set.add(table+" "+chain, r)
			for _, branch := range r.branches(table, maps) {
				set.add(table+" "+chain, branch)
			}
		}
	}
	return set, starts
}

// nftRule reads one rule, with its handle if nft has printed one: without it the rule cannot be deleted.
func nftRule(table, chain, line string) chainRule {
	r := chainRule{Rule: Rule{Text: line, Delete: "nft --handle list ruleset"}}
	if m := nftHandle().FindStringSubmatch(line); m != nil {
		r.Text = m[1]
		r.Delete = fmt.Sprintf("nft delete rule %s %s handle %s", table, chain, m[2])
		r.Spare = fmt.Sprintf("nft insert rule %s %s handle %s %%[2]s daddr %%[1]s accept", literal(table), literal(chain), m[2])
	}
	if family, _, _ := strings.Cut(table, " "); family == "ip" || family == "ip6" {
		r.Family = family
	}
	if m := nftDst().FindStringSubmatch(r.Text); m != nil {
		r.Dst = prefixes(members(m[1]))
	}
	if m := nftProtocol().FindStringSubmatch(r.Text); m != nil {
		r.protocols = members(m[1])
	}
	words := strings.Fields(r.Text)
	r.tproxy, r.socket, r.accepts = slices.Contains(words, "tproxy"), slices.Contains(words, "socket"), slices.Contains(words, "accept")
	if m := nftJump().FindStringSubmatch(r.Text); m != nil {
		r.jump = table + " " + m[1]
	}
	r.narrow = strings.TrimSpace(nftPlain().ReplaceAllString(r.Text, "")) != ""
	return r
}
