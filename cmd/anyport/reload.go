package main

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
)

func newReload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload [--dry-run] [--json] [-c FILE | --socket PATH]",
		Short: "Have the running anyport load its file again, and say what changed",
		Long: `Have the running anyport load the file that it was started with, and print what that
changes: routes and prefixes that come and go, keys, and the live conns touched.

It is all or nothing. If anything is wrong with the file or cannot be done, the reason is
told and the old config serves on. Every packet meets either the old table or the new one.

Live conns stay with the settings that they began with. Those of a route that is gone, and
those whose dst no route forwards any more, have its drain_timeout left to end, and are
reset then. SIGHUP does the same, into the log.`,
		Example: `  anyport reload --dry-run     # what would change?
  anyport reload`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	dryRun := cmd.Flags().Bool("dry-run", false, "only say what would change")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := ask()
		if err != nil {
			return err
		}
		reloaded, err := client.Reload(cmd.Context(), *dryRun)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), reloaded)
		}
		writeReloaded(cmd.OutOrStdout(), reloaded)
		return nil
	}
	return cmd
}

// writeReloaded has a line for each thing that comes (+), goes (-) or changes (~), and for
// each route that stays as it is (=), but whose conns another one's change touches.
func writeReloaded(out io.Writer, r *admin.Reloaded) {
	for _, k := range r.Keys {
		fmt.Fprintf(out, "~ %s: %s → %s\n", k.Key, k.Old, k.New)
	}
	for _, c := range r.Routes {
		writeChange(out, c)
	}
	if len(r.Keys)+len(r.Routes) == 0 {
		fmt.Fprintln(out, "nothing differs")
	}
	if r.DryRun {
		fmt.Fprintf(out, "a dry run: nothing was changed, generation %d serves on\n", r.Generation)
		return
	}
	fmt.Fprintf(out, "%s is in service: generation %d\n", r.Path, r.Generation)
}

func writeChange(out io.Writer, c admin.RouteChange) {
	signs := map[config.Change]string{config.Added: "+", config.Removed: "-", config.Changed: "~"}
	fmt.Fprintf(out, "%s route %q%s\n", cmp.Or(signs[c.Change], "="), c.Name, touched(c))
	writePrefixes(out, "+", c.PrefixesAdded)
	writePrefixes(out, "-", c.PrefixesRemoved)
	for _, k := range c.Keys {
		fmt.Fprintf(out, "    ~ %s: %s → %s\n", k.Key, k.Old, k.New)
	}
}

// touched says what becomes of the live conns.
func touched(c admin.RouteChange) string {
	conns, end := count(int(c.ConnsActive), "live conn", "live conns"), time.Duration(c.DrainSeconds*float64(time.Second))
	switch c.ConnsEnding {
	case c.ConnsActive:
		if c.ConnsActive == 0 {
			return ""
		}
		return fmt.Sprintf(", %s: to be reset after %v", conns, end)
	case 0:
		return fmt.Sprintf(", %s: as they began", conns)
	}
	return fmt.Sprintf(", %s: as they began, but %d to be reset after %v", conns, c.ConnsEnding, end)
}

// writePrefixes keeps a long list readable; --json has all of it.
func writePrefixes(out io.Writer, sign string, prefixes []string) {
	const most = 20
	for i, p := range prefixes {
		if i == most {
			fmt.Fprintf(out, "    %s %d more\n", sign, len(prefixes)-most)
			return
		}
		fmt.Fprintf(out, "    %s %s\n", sign, p)
	}
}
