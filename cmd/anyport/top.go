package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// newTop takes the signals to stop, so that the terminal is restored when it ends.
func newTop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top [--interval TIME] [--count N] [-c FILE | --socket PATH]",
		Short: "Watch the routes and the busiest conns and flows",
		Long: `Show what the running anyport does until it is interrupted: for each route its live conns
and its rates a second, and the busiest conns and flows.

If the output is not a terminal, it is one such picture, of the first interval.`,
		Example: `  anyport top
  anyport top --count 10 --interval 1m`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	interval := cmd.Flags().Duration("interval", 2*time.Second, "from one picture to the next, `TIME`")
	pictures := cmd.Flags().Int("count", 0, "end after `N` pictures; 0: never on a terminal, otherwise after one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *interval < 100*time.Millisecond || *pictures < 0 {
			return usagef("--interval must be at least 100ms, and --count no less than 0")
		}
		client, err := ask()
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return watch(ctx, client, text.ScreenOf(cmd.OutOrStdout()), *interval, *pictures)
	}
	return cmd
}

// watch shows a picture of each interval: rates are the difference of two samples, so the first picture comes
// after the first interval. An interrupt is not a failure.
func watch(ctx context.Context, client admin.Client, s text.Screen, interval time.Duration, pictures int) error {
	if pictures == 0 && !s.Terminal() {
		pictures = 1
	}
	before, err := takeSample(ctx, client)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Open()()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for shown := 0; pictures == 0 || shown < pictures; shown++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, err := takeSample(ctx, client)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Show(text.Top(before, now)); err != nil {
			return err
		}
		before = now
	}
	return nil
}

// takeSample asks for the state now: the status, and the flows that have carried most.
func takeSample(ctx context.Context, client admin.Client) (s text.Sample, err error) {
	if s.Status, err = client.Status(ctx); err != nil {
		return s, err
	}
	list, err := client.FlowList(ctx, admin.FlowQuery{Sort: "bytes", Limit: 1000})
	if err != nil {
		return s, err
	}
	s.Flows, s.At = list.Flows, time.Now()
	return s, nil
}
