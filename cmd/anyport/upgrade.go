package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

func newUpgrade() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade [--binary PATH] [-c FILE | --socket PATH]",
		Short: "Replace the running binary without losing a connection",
		Long: `Have the running anyport start its binary anew, as it is now on disk, and hand over to
the new process: the sockets with all who wait there, the steering and the UDP flows. The
new one reads the file, and is another process with another pid.

Nobody is refused meanwhile. Live TCP conns stay with the old process, which ends with the
last of them, or when drain_timeout has cut it. If the new binary does not start, or does
not like the file, the old one serves on and the reason is told.

SIGUSR2 does the same, into the log.`,
		Example: `  install -m 755 anyport-new /usr/local/bin/anyport && anyport upgrade
  anyport upgrade --binary ./anyport`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	binary := cmd.Flags().String("binary", "", "start this one, `PATH`, and not the one that is running")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := ask()
		if err != nil {
			return err
		}
		if *binary != "" {
			if *binary, err = filepath.Abs(*binary); err != nil {
				return err
			}
		}
		upgraded, err := client.Upgrade(cmd.Context(), *binary)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s serves as pid %d: %s moved; the old process ends with its last conn of %d\n",
			upgraded.Binary, upgraded.PID, count(upgraded.Flows, "flow", "flows"), upgraded.Conns)
		return nil
	}
	return cmd
}
