package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/text"
)

// newFlows prints flows as they arrive: there may be a million, so it never holds all of them. Therefore an
// answer that is cut short has printed some of its lines before the error.
func newFlows() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flows " + conditionsUse + " [--sort WORD] [--limit N] [--json] [-c FILE | --socket PATH]",
		Short: "List the live conns and flows",
		Long: `List the live TCP connections and UDP flows of the running anyport: id, client, dst, route and
origin, state, how old it is, how long since its last byte, and the bytes in each direction.
Conditions select some of them: a flow has to match all. Without --sort they are in no
particular order, and each line is from the moment when it was read.

  --sort age     the oldest first
  --sort bytes   what has carried most first
  --sort idle    the idlest first
  --sort rate    what has carried most in one second first: the command takes that second

A sorted list has at most 10,000 flows.

With --json the answer is one object whose keys stay the same from version to version.`,
		Example: `  anyport flows --route game --sort rate --limit 20
  anyport flows --client 198.51.100.0/24 --dst :443 --state half_closed
  anyport flows --json | jq '.flows | group_by(.client)[] | {client: .[0].client, n: length}'`,
		Args: noArgs,
	}
	ask := clientFlags(cmd)
	conditions := conditionFlags(cmd)
	sort := cmd.Flags().String("sort", "", "the first are those that this `WORD` says: age, bytes, idle or rate")
	limit := cmd.Flags().Int("limit", 0, "at most `N` of them; 0: all, or 10,000 if they are sorted")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		filter, err := conditions()
		if err != nil {
			return err
		}
		if err := checkOrder(*sort, *limit); err != nil {
			return err
		}
		client, err := ask()
		if err != nil {
			return err
		}
		query := admin.FlowQuery{FlowFilter: filter, Sort: *sort, Limit: *limit}
		switch {
		case *sort == byRate:
			return printByRate(cmd, client, query, *asJSON)
		case *asJSON:
			return client.CopyFlows(cmd.Context(), query, cmd.OutOrStdout())
		}
		return printFlows(cmd, client, query)
	}
	return cmd
}

// byRate is the order that this command makes: the running anyport knows no rates of a flow.
const byRate = "rate"

// checkOrder refuses what the running anyport would refuse, as wrong usage.
func checkOrder(sort string, limit int) error {
	words := append(slices.Clone(admin.FlowSorts), byRate)
	if sort != "" && !slices.Contains(words, sort) {
		return usagef("--sort: %q is not one of %s", sort, strings.Join(words, ", "))
	}
	if limit < 0 || sort != "" && limit > admin.MostSorted {
		return usagef("--limit must be a number from 0, and a sorted list has at most %d flows", admin.MostSorted)
	}
	return nil
}

// printFlows prints a table.
func printFlows(cmd *cobra.Command, client admin.Client, query admin.FlowQuery) error {
	out, shown := text.NewFlowTable(cmd.OutOrStdout()), 0
	rest, err := client.Flows(cmd.Context(), query, func(f admin.Flow) error {
		shown++
		return out.Add(f)
	})
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	sayMore(cmd, shown, rest.Total)
	sayLeft(cmd, rest.Left)
	return nil
}

// sayLeft says on stderr which processes still have conns that the answer does not know of.
func sayLeft(cmd *cobra.Command, left []admin.Left) {
	for _, l := range left {
		fmt.Fprintf(cmd.ErrOrStderr(), "anyport: %s\n", text.Left(l))
	}
}

// sayMore says on stderr that a table does not have all.
func sayMore(cmd *cobra.Command, shown, total int) {
	if total > shown {
		fmt.Fprintf(cmd.ErrOrStderr(), "anyport: %d of %d are shown\n", shown, total)
	}
}

// printByRate prints the flows that carry most. It lists all twice, and holds an id and a number of each.
func printByRate(cmd *cobra.Command, client admin.Client, query admin.FlowQuery, asJSON bool) error {
	list, err := listByRate(cmd.Context(), client, query, time.Second)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), list)
	}
	out := text.NewRatesTable(cmd.OutOrStdout())
	for _, f := range list.Flows {
		if err := out.Add(f); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	sayMore(cmd, len(list.Flows), list.Total)
	sayLeft(cmd, list.Left)
	return nil
}

// listByRate compares two lists.
func listByRate(ctx context.Context, client admin.Client, query admin.FlowQuery, interval time.Duration) (list admin.FlowList, err error) {
	query.Sort = ""
	limit := query.Limit
	query.Limit = 0
	before := text.FlowSample{At: time.Now(), Carried: map[string]text.Carried{}}
	if _, err := client.Flows(ctx, query, before.Add); err != nil {
		return list, err
	}
	if err := pause(ctx, interval); err != nil {
		return list, err
	}
	if limit == 0 {
		limit = admin.MostSorted
	}
	busiest, now := admin.First[admin.Flow]{Most: limit, Order: text.ByRate}, time.Now()
	rest, err := client.Flows(ctx, query, func(f admin.Flow) error {
		busiest.Add(before.Rated(f, now))
		return nil
	})
	if err != nil {
		return list, err
	}
	first, total := busiest.List()
	return admin.FlowList{Flows: append([]admin.Flow{}, first...), Total: total, Left: rest.Left}, nil // [] in JSON, never null
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, interval time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(interval):
		return nil
	}
}
