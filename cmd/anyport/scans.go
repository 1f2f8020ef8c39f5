package main

import (
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

func newScans() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scans [--limit N] [--json] [-c FILE | --socket PATH]",
		Short: "Show who sends to ports that nobody serves",
		Long: `Show who sends to ports of served prefixes that nobody serves: no route takes them, or their
route has action = "refuse" or "drop". There are three tables, each with the most packets first:

  CLIENT    an IPv4 address, or an IPv6 /64    PORTS    how many different ports it has tried
  NETWORK   an IPv4 /24, or an IPv6 /56        CLIENTS  how many different clients have tried it
  PORT      a port of a served prefix          SINCE    when its first packet came, of those counted

A packet is a SYN or a datagram; clients send a SYN that is dropped several times. Source
addresses can be forged. "~" is an estimate, right to about 7 %. The kernel reports a bounded
number of packets a second and skips the others: of a flood this shows a sample. A table has
1,024 entries: one that is quiet for a day, or rare when others need the room, is forgotten.

With --json the answer is one object whose keys stay the same from version to version.`,
		Example: `  anyport scans
  anyport scans --json | jq -r '.clients[] | select(.ports.count >= 100) | .prefix'`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	limit := cmd.Flags().Int("limit", 0, "at most `N` lines in each table; 0: 15, with --json all")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 0 || *limit > admin.MostScans {
			return usagef("--limit must be a number from 0 to %d", admin.MostScans)
		}
		client, err := ask()
		if err != nil {
			return err
		}
		list, err := client.Scans(cmd.Context(), scanLimit(*limit, *asJSON))
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		return text.Scans(cmd.OutOrStdout(), list, text.WidthOf(cmd.OutOrStdout()), time.Now())
	}
	return cmd
}

// scanLimit is how many entries to ask for, if the command line does not say.
func scanLimit(limit int, asJSON bool) int {
	switch {
	case limit > 0:
		return limit
	case asJSON:
		return admin.MostScans
	}
	return 15
}
