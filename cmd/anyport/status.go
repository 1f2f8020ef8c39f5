package main

import (
	"github.com/spf13/cobra"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--json] [-c FILE | --socket PATH]",
		Short: "Show the process, its steering, routes, origins and counters",
		Long: `Ask the running anyport how it fares: process, steering, and for each route what the
kernel and the proxy have counted. Conns are TCP connections and UDP flows together.

It asks on the admin socket: that of --socket, or of the file's admin.socket. With --json
the answer is one object whose keys stay as they are from one version to the next.`,
		Example: `  anyport status
  anyport status --json | jq '.routes[] | {name, conns_active}'`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := ask()
		if err != nil {
			return err
		}
		status, err := client.Status(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), status)
		}
		return writeStatus(cmd.OutOrStdout(), status)
	}
	return cmd
}
