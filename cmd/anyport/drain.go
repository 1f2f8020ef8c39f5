package main

import (
	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// newDrain checks its flags before it asks: an order to drain all routes by mistake turns clients away.
func newDrain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain [--route NAME] [--wait] [--force | --undo] [-c FILE | --socket PATH]",
		Short: "Take no new conns; let the old ones end",
		Long: `Make the running anyport refuse new conns and flows on a route, or on all of them, while
live ones go on to their end. This holds across reloads, until it is undone or anyport
stops.

With --wait it returns when the last conn has ended. The status shows which routes drain.

A host of a fleet whose prefixes are announced does not drain all its routes while fewer
than announce.min_hosts other hosts announce theirs, or if nobody knows: --force does.`,
		Example: `  anyport drain --route game --wait
  anyport drain --route game --undo`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	route := cmd.Flags().String("route", "", "only this route, `NAME`")
	wait := cmd.Flags().Bool("wait", false, "return when the last conn has ended")
	force := cmd.Flags().Bool("force", false, "also if the fleet needs this host")
	undo := cmd.Flags().Bool("undo", false, "take new conns again")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *wait && *undo {
			return usagef("--wait and --undo: give one of them")
		}
		if *force && *undo {
			return usagef("--force and --undo: give one of them")
		}
		if err := refuseEmpty(cmd, "route", anyRoute); err != nil {
			return err
		}
		client, err := ask()
		if err != nil {
			return err
		}
		drained, err := client.Drain(cmd.Context(), admin.DrainOrder{Route: *route, Undo: *undo, Wait: *wait, Force: *force})
		if err != nil {
			return err
		}
		text.Drained(cmd.OutOrStdout(), drained)
		return nil
	}
	return cmd
}
