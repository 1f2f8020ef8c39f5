package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"anyport/cmd/daemon"
	"anyport/config"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [-c FILE]",
		Short: "Serve until told to stop",
		Long: `Serve the routes of the file until SIGTERM or SIGINT.

The first of these signals refuses new conns and lets the live ones end, each for up to
its route's drain_timeout; a second one stops at once. SIGHUP reads the file again: if
anything in it is wrong, the log says what, and the old one serves on.

It needs CAP_BPF and CAP_NET_ADMIN, and CAP_NET_BIND_SERVICE to answer UDP from ports
below 1024: root has them. Logs go to stderr.`,
		Example: "  anyport run -c /etc/anyport/anyport.toml",
		Args:    noArgs,
	}
	path := fileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(*path)
		if err != nil {
			return err
		}
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
		defer signal.Stop(signals)
		return daemon.Run(cmd.Context(), daemon.Options{
			Config:  c,
			Version: version(),
			Log:     cmd.ErrOrStderr(),
			Signals: signals,
		})
	}
	return cmd
}
