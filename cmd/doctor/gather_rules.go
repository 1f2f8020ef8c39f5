package doctor

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// listers print all rules of a packet filter, and change nothing: iptables-save with
// -t would load the table's module.
var listers = []struct {
	command []string
	parse   func(string) []Rule
}{
	{[]string{"iptables-save"}, func(text string) []Rule { return parseIptables("iptables", text) }},
	{[]string{"ip6tables-save"}, func(text string) []Rule { return parseIptables("ip6tables", text) }},
	{[]string{"nft", "--handle", "list", "ruleset"}, parseNft},
}

// listing bounds one lister.
const listing = 10 * time.Second

func readRules(ctx context.Context, f *Facts) error {
	for _, l := range listers {
		path, installed := find(l.command[0])
		if !installed {
			continue
		}
		text, err := output(ctx, path, l.command[1:]...)
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(l.command, " "), err)
		}
		f.Tools = append(f.Tools, l.command[0])
		f.TProxy = append(f.TProxy, l.parse(text)...)
	}
	return nil
}

// find looks where PATH leads, and in /usr/sbin, which only root's has.
func find(name string) (path string, installed bool) {
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, true
		}
	}
	return "", false
}

// output runs a command in the namespace of the calling thread.
func output(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, listing)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("%w: %s", err, first)
	}
	return stdout.String(), nil
}

// parseIptables returns the TPROXY rules of what iptables-save prints.
func parseIptables(command, text string) []Rule {
	var rules []Rule
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case strings.HasPrefix(line, "-A ") && slices.Contains(words, "TPROXY"):
			rules = append(rules, Rule{
				Text:   line,
				Dst:    prefixes(after(words, "-d")),
				Delete: fmt.Sprintf("%s -t %s -D %s", command, table, line[len("-A "):]),
			})
		}
	}
	return rules
}

// after returns the word that follows option, unless that is negated.
func after(words []string, option string) []string {
	i := slices.Index(words, option)
	if i < 1 || i+1 == len(words) || words[i-1] == "!" {
		return nil
	}
	return words[i+1 : i+2]
}

var (
	nftDst    = regexp.MustCompile(`ip6? daddr (\{[^}]*\}|[^\s{]+)`)
	nftHandle = regexp.MustCompile(`^(.*?)\s*# handle (\d+)$`)
)

// parseNft returns the tproxy rules of what nft prints, except for those that iptables
// made: iptables-save has them.
func parseNft(text string) []Rule {
	var rules []Rule
	table, chain := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case len(words) > 2 && words[0] == "table":
			table = words[1] + " " + words[2]
		case len(words) > 1 && words[0] == "chain":
			chain = words[1]
		case slices.Contains(words, "tproxy"):
			rule := Rule{Text: line, Delete: "nft --handle list ruleset"}
			if m := nftHandle.FindStringSubmatch(line); m != nil {
				rule.Text = m[1]
				rule.Delete = fmt.Sprintf("nft delete rule %s %s handle %s", table, chain, m[2])
			}
			if m := nftDst.FindStringSubmatch(line); m != nil {
				rule.Dst = prefixes(strings.Split(strings.Trim(m[1], "{}"), ","))
			}
			rules = append(rules, rule)
		}
	}
	return rules
}

// prefixes returns none, for any dst, where a word is neither a prefix nor an address:
// a named set, a range, a negation.
func prefixes(words []string) []netip.Prefix {
	var all []netip.Prefix
	for _, word := range words {
		word = strings.TrimSpace(word)
		p, err := netip.ParsePrefix(word)
		if addr, addrErr := netip.ParseAddr(word); addrErr == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil
		}
		all = append(all, p)
	}
	return all
}
