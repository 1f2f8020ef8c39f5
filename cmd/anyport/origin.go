package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

func newOrigin() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "origin",
		Short: "Force the state of an origin, or set its weight",
		Long: `Force the state of an origin of a route, whatever its health checks say:

  drain   it gets no new conns; the old ones go on
  down    as if its checks had failed; with on_down = "close" its conns end
  ready   its health decides again

A state holds across reloads and upgrades, until it is changed or anyport stops. A weight holds until
the next reload or upgrade. ADDRESS is what the file says, as "anyport status" lists it.`,
		Example: `  anyport origin drain web/10.0.0.5:80
  anyport origin ready web/10.0.0.5:80
  anyport origin weight web/10.0.0.5:80 3`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return usagef("say what to do: drain, down, ready or weight") },
	}
	for state, short := range map[string]string{
		"drain": "It gets no new conns; the old ones go on",
		"down":  "As if its health checks had failed",
		"ready": "Its health decides again",
	} {
		cmd.AddCommand(originOrder(state+" ROUTE/ADDRESS [-c FILE | --socket PATH]", short, 1, func(order *admin.OriginOrder, _ []string) error {
			order.State = state
			return nil
		}))
	}
	cmd.AddCommand(originOrder("weight ROUTE/ADDRESS N [-c FILE | --socket PATH]", "Share new conns by another weight until the next reload", 2,
		func(order *admin.OriginOrder, args []string) (err error) {
			if order.Weight, err = strconv.Atoi(args[1]); err != nil || order.Weight < 0 || order.Weight > 65535 {
				return usagef("the weight %q is not a number from 0 to 65535", args[1])
			}
			return nil
		}))
	return cmd
}

// originOrder is a command that gives one order; its first argument names the origin.
func originOrder(use, short string, args int, complete func(order *admin.OriginOrder, args []string) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: func(_ *cobra.Command, given []string) error {
		if len(given) != args {
			return usagef("%d arguments were given: write anyport origin %s", len(given), use)
		}
		return nil
	}}
	ask := clientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		route, address, ok := strings.Cut(args[0], "/")
		if !ok || route == "" || address == "" {
			return usagef("%q names no origin: write ROUTE/ADDRESS, such as web/10.0.0.5:80", args[0])
		}
		order := admin.OriginOrder{Route: route, Address: address}
		if err := complete(&order, args); err != nil {
			return err
		}
		client, err := ask()
		if err != nil {
			return err
		}
		status, err := client.Origin(cmd.Context(), order)
		if err != nil {
			return err
		}
		text.Origin(cmd.OutOrStdout(), route, status)
		return nil
	}
	return cmd
}
