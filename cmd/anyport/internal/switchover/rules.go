package switchover

import (
	"fmt"
	"strings"
)

// IPTables returns a rule of iptables from its line "-A CHAIN …". command is iptables or ip6tables, or their legacy
// forms.
func IPTables(command, table, text string) Rule {
	rest := strings.TrimPrefix(text, "-A ")
	return Rule{
		Text:    text,
		Delete:  []string{fmt.Sprintf("%s -t %s -D %s", command, table, rest)},
		Restore: []string{fmt.Sprintf("%s -t %s -A %s", command, table, rest)},
	}
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
func NFTables(family, table, chain, text string) Rule {
	at := fmt.Sprintf("%s %s %s", family, table, chain)
	return Rule{
		Text:    text,
		Delete:  []string{"nft --handle list chain " + at, fmt.Sprintf("nft delete rule %s handle HANDLE   # of: %s", at, text)},
		Restore: []string{fmt.Sprintf("nft 'add rule %s %s'", at, strings.ReplaceAll(text, "'", `'\''`))},
	}
}
