package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering"
)

func newUnload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unload [-c FILE]",
		Short: "Remove the pins, link and routes that an ended anyport has left",
		Long: `Remove what instances of anyport that have ended left in this network namespace, and say what
that was: their local routes, and the link and the maps that they pinned, in the directory of
steering.pin and in those in /sys/fs/bpf that anyport chooses by itself, for whichever file.
What a living instance uses stays.

While it is there, what was served refuses. Afterwards the host's own listeners are all
that answers. It is refused while anyport runs, and needs what "anyport run" needs.`,
		Example: "  anyport unload -c /etc/anyport/anyport.toml",
		Args:    noArgs,
	}
	path := fileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*path)
		if err != nil {
			return err
		}
		if err := checkStopped(cmd, c.Admin.Socket); err != nil {
			return err
		}
		removed, err := steering.Unload(c, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		for _, what := range removed {
			fmt.Fprintln(cmd.OutOrStdout(), "removed", what)
		}
		if err == nil && len(removed) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "nothing was left")
		}
		return err
	}
	return cmd
}

// checkStopped refuses what would pull the rug from under a running anyport.
func checkStopped(cmd *cobra.Command, socket string) error {
	if socket == "" {
		return nil
	}
	status, err := admin.Client{Socket: socket}.Status(cmd.Context())
	switch {
	case errors.Is(err, admin.ErrNobody):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("anyport is running, pid %d: stop it first, which removes what is not pinned", status.PID)
}
