package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// newKill needs a condition: without one it would end everything.
func newKill() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kill [ID...] " + conditionsUse + " [-c FILE | --socket PATH]",
		Short: "End live conns and flows",
		Long: `End live TCP connections and UDP flows of the running anyport at once: those with an ID that
"anyport flows" lists, or those that match all of the conditions. Both sides of a conn get RST.
The access log has the verdict "killed".

A client may come back: a UDP flow begins again with the next datagram. To keep clients away,
drain the route first, or add them to "deny".`,
		Example: `  anyport kill 5c0f2a91b3d470e8
  anyport kill --route game --client 198.51.100.0/24`,
		Args: cobra.ArbitraryArgs,
	}
	ask := clientFlags(cmd)
	conditions := conditionFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		filter, err := conditions()
		if err != nil {
			return err
		}
		if filter.IDs = ids; filter.Empty() {
			return usagef("say what to end: an ID of \"anyport flows\", --route or --client")
		}
		if i := indexOfNoID(ids); i >= 0 {
			return usagef("%q is not an ID: \"anyport flows\" lists them", ids[i])
		}
		client, err := ask()
		if err != nil {
			return err
		}
		killed, err := client.Kill(cmd.Context(), filter)
		if err != nil {
			return err
		}
		text.Killed(cmd.OutOrStdout(), killed)
		sayLeft(cmd, killed.Left)
		if len(killed.Missing) > 0 {
			return fmt.Errorf("no live conn or flow has the ID %s: \"anyport flows\" lists them", strings.Join(killed.Missing, ", "))
		}
		return nil
	}
	return cmd
}

// indexOfNoID finds the first of ids that cannot be one; -1: none.
func indexOfNoID(ids []string) int {
	for i, id := range ids {
		if len(id) != 16 || strings.Trim(id, "0123456789abcdef") != "" {
			return i
		}
	}
	return -1
}

// conditionsUse is the usage of the flags of conditionFlags.
const conditionsUse = "[--route NAME] [--client PREFIX] [--dst DST] [--origin ORIGIN] [--protocol tcp|udp] [--state STATE]"

// conditionFlags adds the flags that select conns and flows. The function that it returns reads them once they
// are parsed.
func conditionFlags(cmd *cobra.Command) func() (admin.FlowFilter, error) {
	flags := cmd.Flags()
	route := flags.String("route", "", "only those of this route, `NAME`")
	client := flags.String("client", "", "only those of these clients, `PREFIX`; ADDRESS:PORT and :PORT work too")
	dst := flags.String("dst", "", "only those to this `DST`: a prefix, ADDRESS:PORT or :PORT")
	origin := flags.String("origin", "", "only those with this `ORIGIN`: a prefix, ADDRESS:PORT or :PORT")
	protocol := flags.String("protocol", "", "only those of `tcp or udp`")
	state := flags.String("state", "", "only those in this `STATE`: "+strings.Join(admin.FlowStates, ", "))
	return func() (f admin.FlowFilter, err error) {
		for _, flag := range []string{"client", "dst", "origin", "protocol", "state"} {
			if err := refuseEmpty(cmd, flag, "name a value, or leave it out for all of them"); err != nil {
				return f, err
			}
		}
		if err := refuseEmpty(cmd, "route", anyRoute); err != nil {
			return f, err
		}
		f, err = admin.ParseFlowFilter(map[string][]string{
			"route": {*route}, "client": {*client}, "dst": {*dst}, "origin": {*origin}, "protocol": {*protocol}, "state": {*state},
		})
		if err != nil {
			return f, usagef("--%w", err)
		}
		return f, nil
	}
}
