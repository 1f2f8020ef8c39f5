package doctor

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config/form"
	"anyport/steering/capabilities"
)

// listers print all rules of a packet filter, and change nothing: iptables-save with
// -t would load the table's module.
var listers = []struct {
	command []string
	parse   func(text string, served []netip.Prefix) listed
}{
	{[]string{"iptables-save"}, iptables("iptables", "ip")},
	{[]string{"ip6tables-save"}, iptables("ip6tables", "ip6")},
	{[]string{"iptables-legacy-save"}, iptables("iptables-legacy", "ip")},
	{[]string{"ip6tables-legacy-save"}, iptables("ip6tables-legacy", "ip6")},
	{[]string{"nft", "--handle", "list", "ruleset"}, func(text string, served []netip.Prefix) listed {
		set, _ := nftRules(text)
		return listed{parseNft(text), set.diverts(), natOfNft(text, served)}
	}},
}

// listed is what matters of the rules of one packet filter.
type listed struct {
	tproxy, diverts []Rule
	nat             []NAT
}

// iptables returns the parser for one iptables command: its rules stand in the same form for all four.
func iptables(command, family string) func(string, []netip.Prefix) listed {
	return func(text string, served []netip.Prefix) listed {
		w := natWalk{ruleset: iptablesRules(command, family, text), start: "nat PREROUTING", spare: command + " -t nat -I PREROUTING -d %[1]s -j ACCEPT"}
		return listed{parseIptables(command, text), w.ruleset.diverts(), w.walk(match{family: family, dst: served})}
	}
}

// listing bounds one lister. A cluster's tens of thousands of rules take a second or two.
const listing = 10 * time.Second

// readRules reads the rules of all packet filters that are installed.
func readRules(ctx context.Context, f *Facts) (err error) {
	f.Tools, f.TProxy, f.Diverts, f.NAT, err = readFilters(ctx, f.prefixes())
	return err
}

// readFilters has all listers that are installed list their rules. Of those that change dst it
// returns the ones for these prefixes. If a lister fails, it returns that error and what the others list.
func readFilters(ctx context.Context, served []netip.Prefix) (tools []string, tproxy, diverts []Rule, nat []NAT, err error) {
	for _, l := range listers {
		path, installed := find(l.command[0])
		if !installed || isAlias(l.command[0], path) {
			continue
		}
		text, failed := output(ctx, path, l.command[1:]...)
		if failed != nil {
			err = cmp.Or(err, fmt.Errorf("%s: %w", strings.Join(l.command, " "), failed))
			continue
		}
		tools = append(tools, l.command[0])
		found := l.parse(text, served)
		tproxy = append(tproxy, found.tproxy...)
		diverts = append(diverts, notOfIptables(tools, found.diverts)...)
		nat = append(nat, unseen(nat, found.nat)...)
	}
	return tools, tproxy, diverts, nat, err
}

// notOfIptables leaves out what nft prints of the table mangle, if iptables-save has printed that.
func notOfIptables(tools []string, rules []Rule) []Rule {
	return slices.DeleteFunc(rules, func(r Rule) bool {
		return slices.Contains(tools, "iptables-save") && strings.HasPrefix(r.Delete, "nft delete rule ip mangle ") ||
			slices.Contains(tools, "ip6tables-save") && strings.HasPrefix(r.Delete, "nft delete rule ip6 mangle ")
	})
}

// isAlias reports whether a command for the legacy tables is what iptables-save is, too.
func isAlias(command, path string) bool {
	usual, installed := find(strings.Replace(command, "-legacy", "", 1))
	if !installed || !strings.Contains(command, "-legacy") {
		return false
	}
	one, err := filepath.EvalSymlinks(path)
	other, otherErr := filepath.EvalSymlinks(usual)
	return err == nil && otherErr == nil && one == other
}

// find looks where PATH leads, and in /usr/sbin, which only the PATH of root has.
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
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &stdout, &stderr, listerRights()
	if err := cmd.Run(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("%w: %s", err, first)
	}
	return stdout.String(), nil
}

// listerRights passes CAP_NET_ADMIN on to a lister. Without that, execve would take it from a process that is not root,
// such as a serving anyport with steering.user.
func listerRights() *syscall.SysProcAttr {
	held, err := capabilities.Read(0)
	if err != nil || os.Geteuid() == 0 || !held.Permitted.Has(unix.CAP_NET_ADMIN) {
		return nil
	}
	return &syscall.SysProcAttr{AmbientCaps: []uintptr{unix.CAP_NET_ADMIN}}
}

// parseIptables returns the TPROXY rules of what iptables-save prints.
func parseIptables(command, text string) []Rule {
	return iptablesRules(command, "", text).tproxy("mangle PREROUTING")
}

// iptablesRules reads what iptables-save prints: "*table", then "-A CHAIN rule" lines.
func iptablesRules(command, family, text string) ruleset {
	set := ruleset{}
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case len(words) > 2 && words[0] == "-A":
			chain := table + " " + words[1]
			r := iptablesRule(family, command, table, line)
			r.Spare = fmt.Sprintf("%s -t %s -I %s %d -d %%[1]s -j ACCEPT", command, table, literal(words[1]), len(set[chain])+1)
			set.add(chain, r)
		}
	}
	return set
}

// literal is a name within a format.
func literal(name string) string { return strings.ReplaceAll(name, "%", "%%") }

// iptablesRule reads one rule. What it does not understand makes the rule narrow: it may then match less
// than it seems.
func iptablesRule(family, command, table, line string) chainRule {
	r := chainRule{Rule: Rule{Text: line, Family: "ip", Delete: fmt.Sprintf("%s -t %s -D %s", command, table, line[len("-A "):])}}
	if strings.HasPrefix(command, "ip6") {
		r.Family = "ip6"
	}
	line = comments().ReplaceAllString(line, "")
	words := strings.Fields(line)
	r.Dst = prefixes(after(words, "-d"))
	r.protocols = after(words, "-p")
	r.socket = slices.Contains(words, "socket")
	for _, option := range []string{"-j", "-g"} {
		for _, target := range after(words, option) {
			r.tproxy, r.accepts = r.tproxy || target == "TPROXY", target == "ACCEPT"
			r.jump = table + " " + target
		}
	}
	rest := iptablesPlain().ReplaceAllString(line[len("-A "+words[1]):]+" ", " ")
	r.narrow = strings.TrimSpace(rest) != ""
	r.natOfIptables(family, line, words, rest)
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

// comments of iptables, which may hold any words.
var comments = form.New(` -m comment| --comment ("(\\.|[^"\\])*"|[^" ]\S*)`)

// What does not narrow a rule down beyond its dst and its protocol.
var (
	iptablesPlain = form.New(` (-p \w+|-m (tcp|udp|socket|comment)|-d [0-9a-f.:/]+|--(transparent|nowildcard|restore-skmark)|--comment ("[^"]*"|\S+)|-[jg] \S+( --set-x?mark \S+)?)\b`)
	nftPlain      = form.New(`\b(meta l4proto|ip protocol|ip6 nexthdr|ip6? daddr) (\{[^}]*\}|[^\s{!@]+)|\bsocket (transparent 1|wildcard [01])|\bmeta mark set \S+|\bcounter packets \d+ bytes \d+|\b(jump|goto) \S+|\b(accept|return)\b`)
)

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
