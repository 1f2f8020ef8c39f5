package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// newTrace prints until somebody ends it, or the running anyport ends.
func newTrace() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace [--client PREFIX] [--route NAME] [--json] [-c FILE | --socket PATH]",
		Short: "Show each verdict as it happens",
		Long: `Show what the running anyport decides, as it happens: the verdict of the kernel on each first
packet, and each step of the conns and flows that come of it: accepted, dialling, connected, ended.
It goes on until Ctrl-C, through reloads, and through upgrades with the process that serves then.

Both conditions have to match. Without --route, ports that no route takes are shown too. A line
of the kernel has the addresses, and the name of the route unless no route takes the port; a line
of the proxy begins with the id that "anyport flows" and the access log have.

While nobody traces, a trace costs nothing. While somebody does, it costs only the packets and
conns that a trace shows, and a filter for each other one. A reader that is too slow loses events,
and a line says how many.

With --json each line is one JSON object, whose keys stay the same from version to version.`,
		Example: `  anyport trace --client 198.51.100.7
  anyport trace --route game --json | jq 'select(.by == "kernel" and .verdict != "steer")'`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	from := cmd.Flags().String("client", "", "only these clients, `PREFIX`; ADDRESS:PORT and :PORT work too")
	route := cmd.Flags().String("route", "", "only this route, `NAME`")
	asJSON := cmd.Flags().Bool("json", false, "print a JSON object in each line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		filter, err := traceFilter(cmd, *from, *route)
		if err != nil {
			return err
		}
		client, err := ask()
		if err != nil {
			return err
		}
		return follow(cmd.Context(), client, filter, func(e admin.TraceEvent) error {
			if *asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(e)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), text.TraceLine(e))
			return err
		})
	}
	return cmd
}

// traceFilter refuses what the running anyport would refuse, as wrong usage.
func traceFilter(cmd *cobra.Command, client, route string) (f admin.TraceFilter, err error) {
	if err := refuseEmpty(cmd, "client", "name a value, or leave it out for all of them"); err != nil {
		return f, err
	}
	if err := refuseEmpty(cmd, "route", anyRoute); err != nil {
		return f, err
	}
	f, err = admin.ParseTraceFilter(map[string][]string{"client": {client}, "route": {route}})
	if err != nil {
		return f, usagef("--%w", err)
	}
	return f, nil
}

const (
	// upgradeWithin is how long follow waits for a process to serve after an upgrade has begun.
	upgradeWithin = 2 * time.Minute
	// upgradeRetry is the time between two tries.
	upgradeRetry = 200 * time.Millisecond
)

// follow prints a trace to its end. Where an upgrade ends it, it goes on with the process that serves then, unless that
// one refuses it for good.
func follow(ctx context.Context, client admin.Client, filter admin.TraceFilter, print func(admin.TraceEvent) error) error {
	var until time.Time // of the tries after an upgrade
	for {
		var last admin.TraceEvent
		err := client.Trace(ctx, filter, func(e admin.TraceEvent) error {
			last, until = e, time.Time{} // also if it cannot be printed: then there is nothing to try again
			return print(e)
		})
		switch {
		case last.Event == admin.TraceEnd && last.Reason == admin.TraceUpgrade:
			until = time.Now().Add(upgradeWithin)
		case last.Event == admin.TraceEnd:
			return nil
		case err == nil:
			return fmt.Errorf("the anyport on %s has ended the trace without a reason: \"anyport status\" shows whether it serves", client.Socket)
		case admin.IsFinal(err) || time.Now().After(until):
			return err
		}
		if err := pause(ctx, upgradeRetry); err != nil {
			return err
		}
	}
}
