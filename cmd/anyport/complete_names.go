package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
)

// completionTimeout is how long a shell waits for names: somebody waits with the finger on the key.
const completionTimeout = time.Second

// completeNames makes the shell complete the names of routes, of origins and of the words of flags, for a command
// and what is below it.
func completeNames(cmd *cobra.Command) {
	for _, below := range cmd.Commands() {
		completeNames(below)
	}
	if cmd.HasParent() && cmd.Parent().Name() == "origin" {
		cmd.ValidArgsFunction = completeOrigins
	}
	words := map[string][]string{"protocol": {"tcp", "udp"}}
	switch cmd.Name() {
	case "flows", "kill":
		words["state"] = admin.FlowStates
	case "origins":
		words["state"] = []string{"up", "down"}
	}
	for flag, values := range words {
		if cmd.Flags().Lookup(flag) != nil {
			_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // fails if the flag has one
		}
	}
	if cmd.Flags().Lookup("route") != nil {
		_ = cmd.RegisterFlagCompletionFunc("route", completeRoutes)
	}
}

// completeRoutes offers the routes of the running anyport, or nothing if none answers.
func completeRoutes(cmd *cobra.Command, _ []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	for _, r := range routesForShell(cmd) {
		names = append(names, r.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeOrigins offers ROUTE/ADDRESS for the first word.
func completeOrigins(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		for _, r := range routesForShell(cmd) {
			for _, o := range r.Origins {
				names = append(names, r.Name+"/"+o.Address)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// routesForShell asks the anyport that the command line names so far. A shell has no use for an error.
func routesForShell(cmd *cobra.Command) []admin.RouteStatus {
	client := admin.Client{}
	client.Socket, _ = cmd.Flags().GetString("socket")
	if client.Socket == "" {
		path, err := cmd.Flags().GetString("config")
		if err != nil {
			return nil
		}
		if client.Socket, _, _ = adminSocket(path); client.Socket == "" {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	status, err := client.Status(ctx)
	if err != nil {
		return nil
	}
	return status.Routes
}
