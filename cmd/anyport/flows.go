package main

import (
	"cmp"
	"fmt"
	"text/tabwriter"
	"time"

	"anyport/cmd/anyport/internal/admin"

	"github.com/spf13/cobra"
)

func newFlows() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flows [--json] [--route NAME] [-c FILE | --socket PATH]",
		Short: "List the live conns and flows",
		Long: `List the live TCP connections and UDP flows of the running anyport: who, to which dst, by
which route and to which origin, for how long, how many bytes each way, and how long since
the last one. They are in no order, and each is told as it was when it was looked at.

With --json the answer is one object whose keys stay as they are.`,
		Example: `  anyport flows --route game
  anyport flows --json | jq '.flows | group_by(.client)[] | {client: .[0].client, n: length}'`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	route := cmd.Flags().String("route", "", "those of this route alone, `NAME`")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := ask()
		if err != nil {
			return err
		}
		if *asJSON {
			return client.CopyFlows(cmd.Context(), *route, cmd.OutOrStdout())
		}
		out := newFlowTable(cmd)
		if err := client.Flows(cmd.Context(), *route, out.add); err != nil {
			return err
		}
		return out.Flush()
	}
	return cmd
}

// flowTable aligns a screenful at a time: there may be more than memory should hold.
type flowTable struct {
	*tabwriter.Writer
	rows int
}

const flowHead = "PROTO\tCLIENT\tDST\tROUTE\tORIGIN\tAGE\tIDLE\tTO ORIGIN\tTO CLIENT"

func newFlowTable(cmd *cobra.Command) *flowTable {
	t := &flowTable{Writer: tabwriter.NewWriter(cmd.OutOrStdout(), 10, 0, 2, ' ', 0)}
	fmt.Fprintln(t, flowHead)
	return t
}

func (t *flowTable) add(f admin.Flow) error {
	fmt.Fprintln(t, flowRow(f))
	if t.rows++; t.rows%1000 == 0 {
		return t.Flush()
	}
	return nil
}

func flowRow(f admin.Flow) string {
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", f.Protocol, f.Client, f.Dst, f.Route, cmp.Or(f.Origin, "-"),
		spanText(f.AgeSeconds), spanText(f.IdleSeconds), bytesText(f.ToOrigin), bytesText(f.ToClient))
}

// spanText is a time in the precision that its length deserves.
func spanText(seconds float64) string {
	unit := time.Second
	if seconds < 10 {
		unit = 100 * time.Millisecond
	}
	return time.Duration(seconds * float64(time.Second)).Round(unit).String()
}
