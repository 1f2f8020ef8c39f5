package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"anyport/cmd/anyport/internal/admin"

	"github.com/spf13/cobra"
)

func newDrain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain [--route NAME] [--wait | --undo] [-c FILE | --socket PATH]",
		Short: "Take no new conns; let the old ones end",
		Long: `Have the running anyport take no new conns and flows on a route, or on all of them: they
are refused, while the live ones go on to their end. It holds across reloads, until it is
undone or anyport stops.

With --wait it returns once the last conn has ended. Drained routes show in the status.`,
		Example: `  anyport drain --route game --wait
  anyport drain --route game --undo`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	route := cmd.Flags().String("route", "", "this route alone, `NAME`")
	wait := cmd.Flags().Bool("wait", false, "return once the last conn has ended")
	undo := cmd.Flags().Bool("undo", false, "take new conns again")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *wait && *undo {
			return usagef("--wait and --undo: give one of them")
		}
		if cmd.Flags().Changed("route") && *route == "" {
			return usagef("--route \"\": name a route, or leave it out for all of them")
		}
		client, err := ask()
		if err != nil {
			return err
		}
		drained, err := client.Drain(cmd.Context(), *route, *undo, *wait)
		if err != nil {
			return err
		}
		writeDrained(cmd.OutOrStdout(), drained)
		return nil
	}
	return cmd
}

// writeDrained has a line for each route.
func writeDrained(out io.Writer, d *admin.Drained) {
	state := map[bool]string{true: "takes no new conns", false: "takes new conns"}[d.Draining]
	for _, name := range slices.Sorted(maps.Keys(d.Conns)) {
		n := count(int(d.Conns[name]), "live conn", "live conns")
		fmt.Fprintf(out, "%s: %s, %s\n", name, state, n)
	}
}
