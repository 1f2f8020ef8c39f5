package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/text"
	"anyport/cmd/anyport/internal/top"
)

// newTop takes the signals to stop, so that the terminal is restored when it ends.
func newTop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top [--once] [--interval TIME] [--count N] [-c FILE | --socket PATH]",
		Short: "Watch the routes, the origins and the busiest conns and flows",
		Long: `Show what the running anyport does until q is pressed: its routes, its origins, and its live
conns and flows, with their rates a second. The last line of the screen says the keys: they
choose a view and an order, filter, scroll, and kill after a question; "?" explains them.

If the output is not a terminal, or with --once, it is one picture of the first interval.`,
		Example: `  anyport top
  anyport top --count 10 --interval 1m > figures.txt`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	interval := cmd.Flags().Duration("interval", 2*time.Second, "from one picture to the next, `TIME`")
	pictures := cmd.Flags().Int("count", 0, "end after `N` pictures; 0: never on a terminal, otherwise after one")
	once := cmd.Flags().Bool("once", false, "print one picture, as if the output were not a terminal")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *interval < 100*time.Millisecond || *pictures < 0 {
			return usagef("--interval must be at least 100ms, and --count no less than 0")
		}
		client, err := ask()
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		if !*once && text.IsTerminal(os.Stdin) && text.IsTerminal(cmd.OutOrStdout()) {
			return top.Run(ctx, top.Options{Client: client, In: os.Stdin, Out: os.Stdout, Interval: *interval, Pictures: *pictures})
		}
		n := max(*pictures, 1)
		if *once {
			n = 1
		}
		return top.Print(ctx, client, cmd.OutOrStdout(), *interval, n)
	}
	return cmd
}
