package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/doctor"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/cmd/anyport/internal/text"
	"anyport/config"
)

const reloadHelp = `Make the running anyport load the file that it was started with, and print what that
changes: routes and prefixes that come and go, keys, and the live conns affected.

It is all or nothing. If anything in the file is wrong or cannot be done, it prints the
reason and the old config serves on. Every packet meets either the old table or the new one.

If the file has peers and the process began without, run this command as root: it loads what
asks them, which a serving process has no privilege to do.

Live conns keep the settings that they began with. If a reload removes the route of a conn,
or leaves no route that forwards its dst, the conn has its drain_timeout left to end, and is
reset then. SIGHUP does the same and writes the result to the log.

With --share the new table serves only that part of the clients, and the old one the others.
A client, which is an IPv4 address or an IPv6 /64, stays with its table. Status counts both
sides. With the same file, another --share changes the part. Then --all puts the new table
into service for all clients, or --back ends the trial; until then no other reload and no
upgrade is accepted. Live conns and flows stay with the table that they began with.

The exit status of --dry-run is 0 if nothing would change, 3 if something would, and 1 if the
file would be refused.`

// newReload cannot choose the file: the process loads the one that it was started with.
func newReload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload [--dry-run | --share PERCENT | --all | --back] [--json] [-c FILE | --socket PATH]",
		Short: "Make the running anyport load its file again, and say what changed",
		Long:  reloadHelp,
		Example: `  anyport reload --dry-run     # what would change?
  anyport reload
  anyport reload --share 5%    # for some clients, and later: --all or --back`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	dryRun := cmd.Flags().Bool("dry-run", false, "only say what would change")
	share := cmd.Flags().String("share", "", "have the new table serve only `PERCENT` of the clients, such as 5%")
	all := cmd.Flags().Bool("all", false, "have the table of --share serve all clients")
	back := cmd.Flags().Bool("back", false, "have the table of --share serve nobody any more")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := refuseEmpty(cmd, "share", "say how many of the clients: 5%"); err != nil {
			return err
		}
		percent, err := parseShare(*share)
		if err != nil {
			return err
		}
		if countOf(*dryRun, percent > 0, *all, *back) > 1 {
			return usagef("give one of --dry-run, --share, --all and --back")
		}
		client, err := ask()
		if err != nil {
			return err
		}
		order := reloadWithPeers(client)
		switch {
		case percent > 0:
			order = func(ctx context.Context, _ bool) (*admin.Reloaded, error) { return client.Share(ctx, percent) }
		case *all || *back:
			order = func(ctx context.Context, _ bool) (*admin.Reloaded, error) { return client.EndShare(ctx, *all) }
		}
		reloaded, err := order(cmd.Context(), *dryRun)
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), reloaded)
		} else {
			text.Reloaded(cmd.OutOrStdout(), reloaded)
			if !*back {
				warnTakeover(cmd, client, *dryRun)
			}
		}
		if err == nil && *dryRun && len(reloaded.Keys)+len(reloaded.Routes) > 0 {
			err = errChanges
		}
		return err
	}
	return cmd
}

// countOf is how many flags are given.
func countOf(flags ...bool) (n int) {
	for _, given := range flags {
		if given {
			n++
		}
	}
	return n
}

// parseShare reads a percentage; "" is 0.
func parseShare(text string) (percent float64, err error) {
	if text == "" {
		return 0, nil
	}
	number, isPercent := strings.CutSuffix(text, "%")
	percent, err = strconv.ParseFloat(number, 64)
	if err != nil || !isPercent || !(percent > 0 && percent < 100) {
		return 0, usagef("--share: %q is not a percentage between 0%% and 100%%, such as 5%%", text)
	}
	return percent, nil
}

// errChanges makes a dry run exit with exitChanges.
var errChanges = errors.New("a reload would change something")

// warnTakeover says after a reload what run asks about before a start: the new prefixes may be those of another
// proxy. The process itself may not be able to list them: it has dropped its privileges.
func warnTakeover(cmd *cobra.Command, client admin.Client, dryRun bool) {
	about, err := client.About(cmd.Context())
	if err != nil {
		return
	}
	path := servedPath(about)
	c, err := slowfs.Do(slowfs.New(6*clientReadTimeout), "read "+path, func() (*config.Config, error) { return config.Load(path) })
	if err != nil {
		return // changed since the reload
	}
	rules, _ := doctor.TakenOver(cmd.Context(), c)
	if len(rules) == 0 {
		return // where rules cannot be listed, doctor says so
	}
	when, next := "come to anyport now", "to give them back, take its prefixes out of the file and reload again"
	if dryRun {
		when, next = "would come to anyport at once", "to rehearse that, start: anyport run --shadow -c "+path
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "anyport: warning: the new conns of %s of another proxy %s, because a socket match precedes the rule: %s\n"+
		"  the rule is: %s\n  %s\n", text.Count(len(rules), "TPROXY rule", "TPROXY rules"), when, rules[0].Diverted, rules[0].Text, next)
}

// logTakeover is warnTakeover for a reload by SIGHUP. The process keeps CAP_NET_ADMIN only with manage_routes, and
// never the CAP_NET_RAW that iptables-legacy-save needs: then it can only say that it does not know.
func logTakeover(c *config.Config, log *slog.Logger) {
	rules, err := doctor.TakenOver(context.Background(), c)
	switch {
	case len(rules) > 0:
		log.Warn("the new conns of another proxy's TPROXY rules come here now: a socket match precedes them", "rules", len(rules),
			"rule", rules[0].Text, "socket_match", rules[0].Diverted, "hint", "to give them back, take its prefixes out of the file and reload again")
	case err != nil:
		log.Info("cannot tell whether new conns of another proxy's TPROXY rules come here now", "error", err, "hint", "anyport doctor -c "+c.Path)
	}
}
