package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [--json] [--drift] [-c FILE | --socket PATH]",
		Short: "Show the process, its steering, routes, origins and counters",
		Long: `Ask the running anyport how it fares: process, steering, and for each route what the
kernel and the proxy have counted. Conns are TCP connections and UDP flows together.

It asks on the admin socket: that of --socket, or of the file's admin.socket. With --json
the answer is one object whose keys stay as they are from one version to the next.

With --drift, compare every entry of the tables in the kernel, and the local routes, with the
config in service instead, print what differs, and exit with 1 if anything does.`,
		Example: `  anyport status
  anyport status --json | jq '.routes[] | {name, conns_active}'`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	drift := cmd.Flags().Bool("drift", false, "say where the kernel's tables are not the config's")
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
		err = errors.New("somebody else has changed what the steering consists of; to have it put right: anyport reload")
	}
	return err
}
