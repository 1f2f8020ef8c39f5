package main

import (
	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/text"
)

// newFlows prints flows as they arrive: there may be a million, so it never holds all of them. Therefore an
// answer that is cut short has printed some of its lines before the error.
func newFlows() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flows [--json] [--route NAME] [-c FILE | --socket PATH]",
		Short: "List the live conns and flows",
		Long: `List the live TCP connections and UDP flows of the running anyport: client, dst, route and
origin, how old it is, how long since its last byte, and the bytes in each direction. They
are in no particular order, and each line is from the moment when it was read.

With --json the answer is one object whose keys stay the same from version to version.`,
		Example: `  anyport flows --route game
  anyport flows --json | jq '.flows | group_by(.client)[] | {client: .[0].client, n: length}'`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	route := cmd.Flags().String("route", "", "only those of this route, `NAME`")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := refuseEmpty(cmd, "route", anyRoute); err != nil {
			return err
		}
		client, err := ask()
		if err != nil {
			return err
		}
		if *asJSON {
			return client.CopyFlows(cmd.Context(), *route, cmd.OutOrStdout())
		}
		out := text.NewFlowTable(cmd.OutOrStdout())
		if err := client.Flows(cmd.Context(), *route, out.Add); err != nil {
			return err
		}
		return out.Flush()
	}
	return cmd
}
