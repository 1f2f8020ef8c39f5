package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// newStatus asks one of two questions, of which --drift is the expensive one: with a million prefixes it takes
// seconds.
func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--json] [--drift] [-c FILE | --socket PATH]",
		Short: "Show the process, its steering, routes, origins and counters",
		Long: `Ask the running anyport for its state: process, steering, and for each route the counters
of the kernel and of the proxy. TCP connections and UDP flows are counted together as conns.

It asks on the admin socket: that of --socket, or the file's admin.socket. With --json the
answer is one object whose keys stay the same from version to version.

With --drift, compare every entry of the tables in the kernel, and the local routes, with
the config in service, print the differences, and exit with 1 if there are any.`,
		Example: `  anyport status
  anyport status --json | jq '.routes[] | {name, conns_active}'`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	drift := cmd.Flags().Bool("drift", false, "compare the tables in the kernel with the config")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := ask()
		if err != nil {
			return err
		}
		if *drift {
			return writeDrift(cmd, client, *asJSON)
		}
		status, err := client.Status(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), status)
		}
		return text.Status(cmd.OutOrStdout(), status)
	}
	return cmd
}

// writeDrift prints each difference. That there are any is an error, after that.
func writeDrift(cmd *cobra.Command, client admin.Client, asJSON bool) error {
	drift, err := client.Drift(cmd.Context())
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), drift)
	}
	for _, line := range drift.Lines {
		if !asJSON {
			fmt.Fprintln(cmd.OutOrStdout(), line)
		}
	}
	if err == nil && len(drift.Lines) > 0 {
		err = errors.New("somebody else has changed what the steering consists of; to restore it: anyport reload")
	}
	return err
}
