package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/fleet/overview"
	"anyport/cmd/anyport/internal/text"
)

// newFleet asks the source, and a running anyport only for the name of its file.
func newFleet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fleet [--json] [-c FILE | --socket PATH]",
		Short: "Show the hosts of a fleet, and which of them are not as they should be",
		Long: `Show the table that is current in the etcd which [fleet] source names, the push that runs if
there is one, and each host that reports to it:

  TABLE    in service, and FOR how long          READY    yes, no, drains; announced: with a
  GEN      the generation of its process                  route of [announce]
  CONNS    live conns; FLOWS: live UDP flows     VERSION  of anyport

Below a host stands what differs: another table than it should serve, not ready, another version
than most hosts have; and why it refused a table. A host that has had no contact with the
source for 10 seconds is not in the list.

The source is that of the file, or with --socket that of the file which the anyport on that
admin socket serves. With --json the answer is one object whose keys stay the same from version
to version.`,
		Example: `  anyport fleet
  anyport fleet --json | jq -r '.hosts[] | select(.differs != []) | .host'`,
		Args: noArgs,
	}
	path := fileFlag(cmd)
	socket := cmd.Flags().String("socket", "", "ask on this admin socket, `PATH`")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkWhere(cmd); err != nil {
			return err
		}
		if *socket != "" {
			about, err := admin.Client{Socket: *socket}.About(cmd.Context())
			if err != nil {
				return err
			}
			*path = servedPath(about)
		}
		c, store, err := openFleetOf(cmd, *path)
		if err != nil {
			return err
		}
		defer store.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), storeTimeout)
		defer cancel()
		o, err := overview.Read(ctx, c.Fleet.Source, store)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), o)
		}
		return text.Fleet(cmd.OutOrStdout(), o, text.WidthOf(cmd.OutOrStdout()), time.Now())
	}
	return cmd
}
