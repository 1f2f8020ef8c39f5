package switchover

import (
	"fmt"
	"strings"
)

// IPTables returns a rule of iptables from its line "-A CHAIN …". command is iptables or ip6tables, or their legacy
// forms. position is its number in the chain; 0: no rule that stays comes after it.
func IPTables(command, table, text string, position int) Rule {
	rest := strings.TrimPrefix(text, "-A ")
	restore := fmt.Sprintf("%s -t %s -A %s", command, table, rest)
	if chain, conditions, _ := strings.Cut(rest, " "); position > 0 {
		restore = fmt.Sprintf("%s -t %s -I %s %d %s", command, table, chain, position, conditions)
	}
	return Rule{Text: text, Delete: []string{fmt.Sprintf("%s -t %s -D %s", command, table, rest)}, Restore: []string{restore}}
}

// IPTablesExcept stands for a rule that stays for other dsts: in place of it, it deletes what it does to some prefixes.
func IPTablesExcept(command, table, chain string, position int, prefixes []string) (r Rule) {
	for _, p := range prefixes {
		r.Delete = append(r.Delete, fmt.Sprintf("%s -t %s -I %s %d -d %s -j ACCEPT", command, table, chain, position, p))
		r.Restore = append(r.Restore, fmt.Sprintf("%s -t %s -D %s -d %s -j ACCEPT", command, table, chain, p))
	}
	return r
}

// WithChain adds the chain that only this rule leads to, with its rules "-A CHAIN …".
func (r Rule) WithChain(command, table, chain string, rules []string) Rule {
	before := []string{fmt.Sprintf("%s -t %s -N %s", command, table, chain)}
	for _, text := range rules {
		before = append(before, fmt.Sprintf("%s -t %s %s", command, table, text))
	}
	r.Restore = append(before, r.Restore...)
	r.Delete = append(r.Delete, fmt.Sprintf("%s -t %s -F %s", command, table, chain), fmt.Sprintf("%s -t %s -X %s", command, table, chain))
	return r
}

// NFTables returns a rule of nftables. The list of rules does not say its handle unless nft is asked for it.
// position is as for IPTables.
func NFTables(family, table, chain, text string, position int) Rule {
	at := fmt.Sprintf("%s %s %s", family, table, chain)
	quoted := strings.ReplaceAll(text, "'", `'\''`)
	restore := fmt.Sprintf("nft 'add rule %s %s'", at, quoted)
	if position > 0 {
		restore = fmt.Sprintf("nft 'insert rule %s index %d %s'", at, position-1, quoted)
	}
	return Rule{
		Text:    text,
		Delete:  []string{"nft --handle list chain " + at, fmt.Sprintf("nft delete rule %s handle HANDLE   # of: %s", at, text)},
		Restore: []string{restore},
	}
}

// NFTablesExcept is IPTablesExcept for nftables. Restore finds the handle itself, since it also runs unattended.
func NFTablesExcept(family, table, chain string, position int, prefixes []string) (r Rule) {
	at := fmt.Sprintf("%s %s %s", family, table, chain)
	for _, p := range prefixes {
		accept := "ip daddr " + p + " accept"
		if strings.Contains(p, ":") {
			accept = "ip6 daddr " + p + " accept"
		}
		r.Delete = append(r.Delete, fmt.Sprintf("nft 'insert rule %s index %d %s'", at, position-1, accept))
		r.Restore = append(r.Restore, fmt.Sprintf("nft delete rule %s handle $(nft --handle list chain %[1]s | sed -n 's|.*%s # handle ||p')", at, accept))
	}
	return r
}
