package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/text"
	"anyport/steering"
)

// newUpgrade does more than ask: if the new binary has another BPF program, this process loads it, since the
// serving one has usually given up CAP_BPF. Its descriptors go along with the request.
func newUpgrade() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "upgrade [--binary PATH] [-c FILE | --socket PATH]",
		Short: "Replace the running binary without losing a connection",
		Long: `Make the running anyport start its binary again, as it is on disk now, and hand over to the
new process: the sockets with everybody who waits in their queues, the steering, the UDP
flows and the live TCP conns. The new process reads the file and has another pid; the old
one ends.

Nobody is refused and no conn ends meanwhile. If the new binary does not start, or refuses
the file, the old process serves on and the command prints the reason.

If the new binary has another program for the kernel, run this command as root and from the
new binary: it loads that program, which a serving process has no privilege to do.

SIGUSR2 does the same and writes the result to the log, for a binary with the same program
for the kernel.`,
		Example: `  install -m 755 anyport-new /usr/local/bin/anyport && anyport upgrade
  anyport upgrade --binary ./anyport`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	binary := cmd.Flags().String("binary", "", "start this binary, `PATH`, instead of the one that is running")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := refuseEmpty(cmd, "binary", "name a binary, or leave it out for the one that is running"); err != nil {
			return err
		}
		client, err := ask()
		if err != nil {
			return err
		}
		if *binary != "" {
			if *binary, err = filepath.Abs(*binary); err != nil {
				return err
			}
		}
		status, err := client.Status(cmd.Context())
		if err != nil {
			return err
		}
		spare, err := steering.Preload(status.Steering.ProgramID)
		if err != nil {
			return err
		}
		defer spare.Close()
		upgraded, err := client.Upgrade(cmd.Context(), *binary, spare.Handover())
		if err != nil {
			return err
		}
		text.Upgraded(cmd.OutOrStdout(), upgraded)
		return nil
	}
	return cmd
}
