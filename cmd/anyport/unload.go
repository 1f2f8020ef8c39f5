package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"syscall"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/steering"
)

// newUnload works on the kernel's objects itself: there is no process left to ask.
func newUnload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unload [-c FILE]",
		Short: "Remove the pins, link and routes that an ended anyport has left",
		Long: `Remove what anyport processes that have ended left in this network namespace, and say what
that was: their local routes, and the link and the maps that they pinned, in the directory
of steering.pin and in the directories of /sys/fs/bpf that anyport chooses itself, for
whichever file. What a running process uses stays.

As long as these are there, the kernel refuses what was served. Afterwards only the host's
own listeners answer. The command refuses to run beside a running anyport, and needs the
privileges of "anyport run".`,
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

// checkStopped refuses to remove what a running anyport stands on, also if that does not answer.
func checkStopped(cmd *cobra.Command, socket string) error {
	if socket == "" {
		return nil
	}
	about, err := admin.Client{Socket: socket}.About(cmd.Context())
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED): // nobody listens
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("anyport is running, pid %d: stop it first, which removes what is not pinned", about.PID)
}
