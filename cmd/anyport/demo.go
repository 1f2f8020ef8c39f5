package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/demo"
)

// newDemo wires the demo to the signals of this process. In the namespace the process begins again, with the same
// arguments.
func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo [--ports A-B]",
		Short: "Try it on this machine, without a network",
		Long: `Serve an IPv4 and an IPv6 prefix in a network namespace of its own, with a built-in echo
origin. The demo prints the file that it runs with, tries a few odd ports, and then sweeps
the ports of an address over TCP and UDP and counts the answers: each must come from the
port that was asked, and the origin must have received the right client and dst.

Nothing outside the namespace is touched, and the namespace ends with the process. It
needs root.`,
		Example: `  sudo anyport demo
  sudo anyport demo --ports 1-1023`,
		Args: noArgs,
	}
	ports := cmd.Flags().String("ports", "1-65535", "sweep these ports, `A-B`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		first, last, err := demo.ParsePorts(*ports)
		if err != nil {
			return usageError{err}
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return demo.Run(ctx, demo.Options{First: first, Last: last, Version: version(), Out: cmd.OutOrStdout()})
	}
	return cmd
}
