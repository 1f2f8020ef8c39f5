package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/importer"
	"anyport/cmd/anyport/internal/iptables"
	"anyport/cmd/anyport/internal/nftables"
	"anyport/cmd/anyport/internal/proxyconf"
	"anyport/cmd/anyport/internal/ruleset"
	"anyport/config"
)

// newImport reads what served before anyport. It changes nothing.
func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import iptables|nft|haproxy|nginx|go-mmproxy",
		Short: "Write a file from the rules and proxies that serve now",
		Long: `Read the rules that bring packets to another proxy (TPROXY, REDIRECT, DNAT) and write the
anyport file that does the same. The file goes to stdout, with a comment at each route that
names its rule. A table of all rules goes to stderr: the routes of each, or why it is left.

Nothing on this host is changed.`,
		Example: `  iptables-save | anyport import iptables --origin 10.0.0.5 > anyport.toml
  anyport import nft --live --verify > anyport.toml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("import needs to know what to read: iptables, nft, haproxy, nginx or go-mmproxy")
			}
			return usagef("%q cannot be imported: write iptables, nft, haproxy, nginx or go-mmproxy", args[0])
		},
	}
	cmd.AddCommand(newImportRules(iptablesSource), newImportRules(nftSource))
	cmd.AddCommand(newImportProxies()...)
	for _, sub := range cmd.Commands() {
		sub.DisableFlagsInUseLine = true
	}
	return cmd
}

// ruleSource is a packet filter that rules come from.
type ruleSource struct {
	name, prints, example string
	parse                 func(text string, sets *iptables.Sets) (*ruleset.Ruleset, error)
	live                  [][]string // commands that print the rules
}

var iptablesSource = ruleSource{
	name: "iptables", prints: "iptables-save and ip6tables-save", example: "  iptables-save | anyport import iptables --origin 10.0.0.5 > anyport.toml",
	parse: iptables.Parse,
	live:  [][]string{{"iptables-save"}, {"ip6tables-save"}, {"iptables-legacy-save"}, {"ip6tables-legacy-save"}},
}

var nftSource = ruleSource{
	name: "nft", prints: "nft list ruleset, with -j or without,", example: "  nft list ruleset | anyport import nft --origin 10.0.0.5 > anyport.toml",
	parse: func(text string, _ *iptables.Sets) (*ruleset.Ruleset, error) { return nftables.Parse(text) },
	live:  [][]string{{"nft", "list", "ruleset"}, {"nft", "-j", "list", "ruleset"}}, // each has what the other lacks
}

// ruleFlags are the flags of importing rules.
type ruleFlags struct {
	live, verify, script bool
	origin, ipset, iface string
	prefixes, local      []string
	unmatched            string
	haproxy, nginx       string
}

func newImportRules(from ruleSource) *cobra.Command {
	var f ruleFlags
	cmd := &cobra.Command{
		Use:   from.name + " [FILE]",
		Short: "Import the rules of " + from.name,
		Long: fmt.Sprintf(`Read what %s prints, from FILE, from stdin, or with --live from this
host, and write the anyport file that does the same for new conns and flows.

Where rules have no equal, they are left and the table on stderr says why: leave them in the
packet filter. Imported in part means that a rule became routes for some of its packets only.
Exit status: 0, a file was written, even if rules were left; 1, none could be, or --verify
found a difference.

The rules do not say which server is behind the old proxy. --origin says it, or --haproxy and
--nginx read it from the configuration. Otherwise the file has a placeholder, which "anyport
check" refuses.`, from.prints),
		Example: from.example,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("import %s reads one FILE, or stdin", from.name)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.live, "live", false, "read the rules of this host, and its addresses")
	flags.BoolVar(&f.verify, "verify", false, "compare a million random packets, by the rules and by the routes")
	flags.BoolVar(&f.script, "script", false, "print the steps of the switch, and back, in place of the file")
	flags.StringVar(&f.origin, "origin", "", "the server behind the old proxy, `HOST[:PORT]`")
	flags.StringVar(&f.haproxy, "haproxy", "", "read the servers behind HAProxy from its configuration `FILE`")
	flags.StringVar(&f.nginx, "nginx", "", "read the servers behind nginx from its configuration `FILE`")
	flags.StringVar(&f.iface, "interface", "", "import what arrives on the interface `NAME`")
	flags.StringSliceVar(&f.prefixes, "prefix", nil, "import this `PREFIX` of dsts alone; also for rules that take all dsts")
	flags.StringSliceVar(&f.local, "local", nil, "`PREFIX`es that are addresses of this host, for rules that ask for them")
	flags.StringVar(&f.unmatched, "unmatched", "refuse", "ports of a prefix that no rule takes: refuse, or pass to this host's listeners")
	if from.name == "iptables" {
		flags.StringVar(&f.ipset, "ipset", "", "read the sets from this `FILE` of ipset save")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return importRules(cmd, from, f, args) }
	return cmd
}

func importRules(cmd *cobra.Command, from ruleSource, f ruleFlags, args []string) error {
	options, err := f.options()
	if err != nil {
		return err
	}
	rules, err := f.read(cmd, from, args, &options)
	if err != nil {
		return err
	}
	proxies, err := f.proxies()
	if err != nil {
		return err
	}
	options.Services = proxyconf.DraftServices(proxies...)
	result, err := importer.Import(rules, options)
	if err != nil {
		return err
	}
	if err := result.Write(cmd.ErrOrStderr()); err != nil {
		return err
	}
	for _, proxy := range proxies {
		if err := proxy.WriteReport(cmd.ErrOrStderr()); err != nil {
			return err
		}
	}
	switch {
	case len(result.Report) == 0:
		return errors.New("nothing to import: none of these rules brings packets to a proxy (TPROXY, REDIRECT, DNAT)")
	case len(result.Draft.Routes) == 0:
		return errors.New("no rule could be imported: the table says why")
	}
	if f.verify {
		err = verifyImport(cmd, result, rules, options)
	}
	if f.script {
		_, writeErr := io.WriteString(cmd.OutOrStdout(), result.Script(rules, options, from.name == "iptables"))
		return errors.Join(writeErr, err)
	}
	if err == nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "next: anyport check -c FILE; --script prints the steps of the switch, and back")
	}
	return errors.Join(result.Draft.Write(cmd.OutOrStdout()), err)
}

// verifiedPackets is how many random packets --verify sends through the rules and the routes.
const verifiedPackets = 1_000_000

// verifyImport says what differs. The seed is fixed: a second run finds the same.
func verifyImport(cmd *cobra.Command, result *importer.Result, rules *ruleset.Ruleset, options importer.Options) error {
	found, err := result.Verify(rules, options, verifiedPackets, 1)
	if err != nil {
		return err
	}
	if err := found.Write(cmd.ErrOrStderr()); err != nil {
		return err
	}
	if len(found.Differences) > 0 {
		return errors.New("the routes differ from the rules: do not use the file, and report the rules as a fault of anyport")
	}
	return nil
}

// options checks the flags.
func (f *ruleFlags) options() (o importer.Options, err error) {
	o = importer.Options{Origin: f.origin, Interface: f.iface, LocalKnown: len(f.local) > 0}
	switch f.unmatched {
	case "refuse":
		o.Unmatched = config.Refuse
	case "pass":
		o.Unmatched = config.Pass
	default:
		return o, usagef("--unmatched %q: it must be refuse or pass", f.unmatched)
	}
	if o.Prefixes, err = parsePrefixes("prefix", f.prefixes); err != nil {
		return o, err
	}
	o.Local, err = parsePrefixes("local", f.local)
	return o, err
}

func parsePrefixes(flag string, words []string) (all []netip.Prefix, err error) {
	for _, w := range words {
		p, err := netip.ParsePrefix(w)
		if ip, ipErr := netip.ParseAddr(w); ipErr == nil {
			p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err != nil || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			return nil, usagef("--%s %q: it must be an address or a prefix, such as 192.0.2.0/24", flag, w)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}
