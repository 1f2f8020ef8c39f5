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
	set := ruleset{}
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case len(words) > 2 && words[0] == "-A":
			set.add(table+" "+words[1], iptablesRule(command, table, line, words))
		}
	}
	return set.tproxy("mangle PREROUTING")
}

func iptablesRule(command, table, line string, words []string) chainRule {
	r := chainRule{Rule: Rule{
		Text:   line,
		Dst:    prefixes(after(words, "-d")),
		Delete: fmt.Sprintf("%s -t %s -D %s", command, table, line[len("-A "):]),
	}}
	r.protocols = after(words, "-p")
	r.socket = slices.Contains(words, "socket")
	for _, option := range []string{"-j", "-g"} {
		for _, target := range after(words, option) {
			r.tproxy, r.accepts = r.tproxy || target == "TPROXY", target == "ACCEPT"
			r.jump = table + " " + target
		}
	}
	rest := iptablesPlain.ReplaceAllString(line[len("-A "+words[1]):]+" ", " ")
	r.narrow = strings.TrimSpace(rest) != ""
	return r
}

// after returns the word that follows option, unless that is negated.
func after(words []string, option string) []string {
	i := slices.Index(words, option)
	if i < 1 || i+1 == len(words) || words[i-1] == "!" {
		return nil
	}
	return words[i+1 : i+2]
}

// What does not narrow a rule down beyond its dst and its protocol.
var (
	iptablesPlain = regexp.MustCompile(` (-p \w+|-m (tcp|udp|socket|comment)|-d [0-9a-f.:/]+|--(transparent|nowildcard|restore-skmark)|--comment ("[^"]*"|\S+)|-[jg] \S+( --set-x?mark \S+)?)\b`)
	nftPlain      = regexp.MustCompile(`\b(meta l4proto|ip protocol|ip6 nexthdr|ip6? daddr) (\{[^}]*\}|[^\s{!@]+)|\bsocket (transparent 1|wildcard [01])|\bmeta mark set \S+|\bcounter packets \d+ bytes \d+|\b(jump|goto) \S+|\baccept\b`)
)

var (
	nftDst      = regexp.MustCompile(`ip6? daddr (\{[^}]*\}|[^\s{]+)`)
	nftProtocol = regexp.MustCompile(`(?:meta l4proto|ip protocol|ip6 nexthdr) (\{[^}]*\}|[^\s{]+)`)
	nftJump     = regexp.MustCompile(`\b(?:jump|goto) (\S+)`)
	nftHandle   = regexp.MustCompile(`^(.*?)\s*# handle (\d+)$`)
)

// parseNft returns the tproxy rules of what nft prints, except for those that iptables
// made: iptables-save has them.
func parseNft(text string) []Rule {
	set := ruleset{}
	var starts []string
	table, chain := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case len(words) > 2 && words[0] == "table":
			table = words[1] + " " + words[2]
		case len(words) > 1 && words[0] == "chain":
			chain = words[1]
		case len(words) > 1 && words[0] == "type":
			starts = append(starts, table+" "+chain) // a base chain
		case len(words) > 0 && words[0] != "}":
			set.add(table+" "+chain, nftRule(table, chain, line))
		}
	}
	return set.tproxy(starts...)
}

func nftRule(table, chain, line string) chainRule {
	r := chainRule{Rule: Rule{Text: line, Delete: "nft --handle list ruleset"}}
	if m := nftHandle.FindStringSubmatch(line); m != nil {
		r.Text = m[1]
		r.Delete = fmt.Sprintf("nft delete rule %s %s handle %s", table, chain, m[2])
	}
	if m := nftDst.FindStringSubmatch(r.Text); m != nil {
		r.Dst = prefixes(members(m[1]))
	}
	if m := nftProtocol.FindStringSubmatch(r.Text); m != nil {
		r.protocols = members(m[1])
	}
	words := strings.Fields(r.Text)
	r.tproxy, r.socket, r.accepts = slices.Contains(words, "tproxy"), slices.Contains(words, "socket"), slices.Contains(words, "accept")
	if m := nftJump.FindStringSubmatch(r.Text); m != nil {
		r.jump = table + " " + m[1]
	}
	r.narrow = strings.TrimSpace(nftPlain.ReplaceAllString(r.Text, "")) != ""
	return r
}

// members are those of a set, or the one word.
func members(set string) []string {
	var all []string
	for _, word := range strings.Split(strings.Trim(set, "{}"), ",") {
		all = append(all, strings.TrimSpace(word))
	}
	return all
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
