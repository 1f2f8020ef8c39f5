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

func newRoutes() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "routes [--route NAME] [--sort WORD] [--limit N] [--wide] [--interval TIME] [--json] [-c FILE | --socket PATH]",
		Short: "Show the routes: live conns, rates, errors, limits",
		Long: `Show the routes of the running anyport. The command counts for an interval, one second, and
then prints the rates of it beside the totals:

  LIVE    conns and flows now               IN/S     bytes from clients a second, K = 1024
  MAX     max_conns; - is no limit          OUT/S    bytes to clients a second
  NEW/S   new conns and flows a second      ERRORS   conns and flows that failed
  DENIED  by allow and deny                 QUEUE    conns that wait for an origin
  STATE   up, draining, DOWN (no origin is up), or how many origins are up

With --wide there are also the totals, the limits, what the route serves, and:

  PEAK, PEAK NEW/S, PEAK QUEUE  the most at once, or in a second, since the process began
  SINCE, TIMES DOWN, DOWN       when an outage (no origin up) last began or ended; how often; how long
  LAST                          how long ago the last conn or flow came
  RETRIES, ELSEWHERE            dials that were not the first of their conn; of these to another server
  AVG WAIT, AVG CONNECT         in the queue, of conns that waited; until an origin accepted: averages
  AVG SESSION                   of about the last thousand; a session is from its begin to its end

With --json the answer is one object whose keys stay the same from version to version.`,
		Example: `  anyport routes --sort bytes
  anyport routes --wide --route game`,
		Args: noArgs,
	}
	report := reportFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		before, now, err := report.samples(cmd)
		if err != nil {
			return err
		}
		routes := slices.DeleteFunc(text.RateRoutes(before, now), func(r text.RatedRoute) bool { return *report.route != "" && r.Name != *report.route })
		if err := report.checkFound(now.Status); err != nil {
			return err
		}
		text.SortRoutes(routes, *report.sort)
		routes = firstN(routes, *report.limit)
		if *report.json {
			return printJSON(cmd.OutOrStdout(), struct {
				Routes []text.RatedRoute `json:"routes"`
			}{routes})
		}
		return text.RouteGrid(routes, *report.wide, now.At).Write(cmd.OutOrStdout(), report.width(cmd))
	}
	return cmd
}

func newOrigins() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "origins [--route NAME] [--state up|down] [--sort WORD] [--limit N] [--wide] [--interval TIME] [--json] [-c FILE | --socket PATH]",
		Short: "Show the origins: state, checks, live conns, rates, errors",
		Long: `Show the origins of the running anyport, each with each route that uses it. The command
counts for an interval, one second, and then prints the rates of it beside the totals:

  LIVE    conns and flows now               IN/S     bytes to the origin a second, K = 1024
  NEW/S   new conns and flows a second      OUT/S    bytes from the origin a second
  ERRORS  failed dials, and ICMP errors     CHECK    the last active check, and its age
  WEIGHT  b1: a backup, of weight 1         STATE    up, or why it is not

With --wide there are also the totals, the limit, the peaks and averages of "anyport routes", and:

  SINCE, WHY        the last change and its reason   SHARE  the part of its weight in slow_start
  TIMES DOWN, DOWN  how often, and how long in all   LEFT   conns that went on to another server
  CHECKS FAILED     active checks that failed        LAST   how long ago it was given a conn or flow

"anyport origin" forces a state. With --json the answer is one object whose keys stay the same
from version to version.`,
		Example: `  anyport origins --state down
  anyport origins --wide --route web`,
		Args: noArgs,
	}
	report := reportFlags(cmd)
	state := cmd.Flags().String("state", "", "only those that are `up or down`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("state") && *state != "up" && *state != "down" {
			return usagef("--state: %q is not one of up, down", *state)
		}
		before, now, err := report.samples(cmd)
		if err != nil {
			return err
		}
		origins := slices.DeleteFunc(text.RateOrigins(before, now), func(o text.RatedOrigin) bool {
			return *report.route != "" && o.Route != *report.route || *state != "" && o.Up != (*state == "up")
		})
		if err := report.checkFound(now.Status); err != nil {
			return err
		}
		text.SortOrigins(origins, *report.sort)
		origins = firstN(origins, *report.limit)
		if *report.json {
			return printJSON(cmd.OutOrStdout(), struct {
				Origins []text.RatedOrigin `json:"origins"`
			}{origins})
		}
		return text.OriginGrid(origins, *report.wide, now.At).Write(cmd.OutOrStdout(), report.width(cmd))
	}
	return cmd
}

// report is what the tables of routes and of origins have in common.
type report struct {
	ask         func() (admin.Client, error)
	route, sort *string
	limit       *int
	wide, json  *bool
	interval    *time.Duration
}

func reportFlags(cmd *cobra.Command) report {
	return report{
		ask:      clientFlags(cmd),
		route:    cmd.Flags().String("route", "", "only this route, `NAME`"),
		sort:     cmd.Flags().String("sort", "", "the first are those that this `WORD` says: "+strings.Join(text.Orders, ", ")),
		limit:    cmd.Flags().Int("limit", 0, "at most `N` lines; 0: all"),
		wide:     cmd.Flags().Bool("wide", false, "all columns, however wide"),
		json:     cmd.Flags().Bool("json", false, "print one JSON object"),
		interval: cmd.Flags().Duration("interval", time.Second, "count for this `TIME`; 0s: print no rates"),
	}
}

// samples asks for the status at both ends of the interval. Without one, both are the same moment.
func (r report) samples(cmd *cobra.Command) (before, now text.Sample, err error) {
	if err := refuseEmpty(cmd, "route", anyRoute); err != nil {
		return before, now, err
	}
	if *r.sort != "" && !slices.Contains(text.Orders, *r.sort) {
		return before, now, usagef("--sort: %q is not one of %s", *r.sort, strings.Join(text.Orders, ", "))
	}
	if *r.limit < 0 || *r.interval < 0 {
		return before, now, usagef("--limit and --interval must be no less than 0")
	}
	client, err := r.ask()
	if err != nil {
		return before, now, err
	}
	if before, err = takeSample(cmd.Context(), client); err != nil || *r.interval == 0 {
		return before, before, err
	}
	if err := pause(cmd.Context(), *r.interval); err != nil {
		return before, now, err
	}
	now, err = takeSample(cmd.Context(), client)
	return before, now, err
}

// takeSample asks for the status now.
func takeSample(ctx context.Context, client admin.Client) (s text.Sample, err error) {
	s.Status, err = client.Status(ctx)
	s.At = time.Now()
	return s, err
}

// checkFound refuses a route that is not in service.
func (r report) checkFound(s *admin.Status) error {
	if *r.route == "" {
		return nil
	}
	return checkRouteOf(s, *r.route)
}

// width is that of the terminal; 0 if everything is to be printed.
func (r report) width(cmd *cobra.Command) int {
	if *r.wide {
		return 0
	}
	return text.WidthOf(cmd.OutOrStdout())
}

// firstN are the first n of a list, or all if n is 0. It is never nil: [] in JSON.
func firstN[T any](list []T, n int) []T {
	if list == nil {
		return []T{}
	}
	if n == 0 {
		return list
	}
	return list[:min(n, len(list))]
}

// checkRouteOf refuses a name that no route of a status has.
func checkRouteOf(s *admin.Status, name string) error {
	var names []string
	for _, r := range s.Routes {
		if r.Name == name {
			return nil
		}
		names = append(names, r.Name)
	}
	return fmt.Errorf("no route %q is in service: there %s %s", name, map[bool]string{true: "is", false: "are"}[len(names) == 1], strings.Join(names, ", "))
}
