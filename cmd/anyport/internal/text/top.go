package text

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// shownFlows is how many flows are shown: of those in the sample, the ones that carry most now.
const shownFlows = 50

// Sample is the state of a running anyport at one moment.
type Sample struct {
	At     time.Time
	Status *admin.Status
	Flows  []admin.Flow // the busiest, by what they have carried in all
}

// Top says what came and went between two samples.
func Top(before, now Sample) string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	rates := routeRates(before, now)
	var all rate
	for _, r := range rates {
		all = all.plus(r)
	}
	fmt.Fprintf(out, "anyport %s, pid %d, %s for %v: %d live, %s new/s, %s/s to origins, %s/s to clients\n\n",
		now.Status.Version, now.Status.PID, state(now.Status), time.Duration(now.Status.UptimeSeconds)*time.Second,
		all.active, perSecond(all.total), Bytes(uint64(all.toOrigin)), Bytes(uint64(all.toClient)))
	var rows []string
	for i, r := range rates {
		rows = append(rows, fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s", routeText(now.Status.Routes[i]), r.active,
			perSecond(r.total), perSecond(r.refused), perSecond(r.denied), perSecond(r.limited), Bytes(uint64(r.toOrigin)), Bytes(uint64(r.toClient))))
	}
	printRows(out, "ROUTE\tACTIVE\tNEW/S\tREFUSED/S\tDENIED/S\tLIMITED/S\tTO ORIGIN/S\tTO CLIENT/S", rows)
	if len(now.Flows) > 0 {
		fmt.Fprintln(out)
		printRows(out, "PROTO\tCLIENT\tDST\tROUTE\tORIGIN\tAGE\tIDLE\tTO ORIGIN/S\tTO CLIENT/S\tTO ORIGIN\tTO CLIENT", flowRates(before, now))
	}
	out.Flush()
	return text.String()
}

// rate is what a route does a second, beside its live conns. It is a difference of two counters, so it
// means nothing across a restart: routeRates then begins from zero.
type rate struct {
	active                                              int64
	total, refused, denied, limited, toOrigin, toClient float64
}

// plus adds the rates of two routes.
func (r rate) plus(o rate) rate {
	return rate{r.active + o.active, r.total + o.total, r.refused + o.refused, r.denied + o.denied,
		r.limited + o.limited, r.toOrigin + o.toOrigin, r.toClient + o.toClient}
}

// routeRates are in the order of now's routes. A route that is new, or whose process is,
// began with nothing.
func routeRates(before, now Sample) (rates []rate) {
	old := map[string]admin.RouteStatus{}
	if before.Status.PID == now.Status.PID {
		for _, r := range before.Status.Routes {
			old[r.Name] = r
		}
	}
	span := now.At.Sub(before.At).Seconds()
	for _, r := range now.Status.Routes {
		o := old[r.Name]
		rates = append(rates, rate{
			active: r.ConnsActive, total: grown(r.ConnsTotal, o.ConnsTotal) / span,
			refused: grown(r.Refused, o.Refused) / span, denied: grown(r.Denied, o.Denied) / span, limited: grown(r.Limited, o.Limited) / span,
			toOrigin: grown(r.BytesToOrigin, o.BytesToOrigin) / span, toClient: grown(r.BytesToClient, o.BytesToClient) / span,
		})

	}
	return rates
}

// flowRates are the flows that carry most now, the first of them first. One that was not
// among the busiest before counts from its beginning, and so too little if that is longer ago.
func flowRates(before, now Sample) (rows []string) {
	type flow struct {
		admin.Flow
		toOrigin, toClient float64
	}
	old := map[[3]string]admin.Flow{}
	for _, f := range before.Flows {
		old[[3]string{f.Protocol, f.Client, f.Dst}] = f
	}
	span := now.At.Sub(before.At).Seconds()
	var flows []flow
	for _, f := range now.Flows {
		o, known := old[[3]string{f.Protocol, f.Client, f.Dst}]
		lived := max(f.AgeSeconds, 0.001)
		if known && o.AgeSeconds <= f.AgeSeconds { // and it is not another between the same two
			lived = span
		} else {
			o = admin.Flow{}
		}
		flows = append(flows, flow{f, grown(f.ToOrigin, o.ToOrigin) / lived, grown(f.ToClient, o.ToClient) / lived})
	}
	slices.SortStableFunc(flows, func(a, b flow) int { return cmp.Compare(b.toOrigin+b.toClient, a.toOrigin+a.toClient) })
	for _, f := range flows[:min(len(flows), shownFlows)] {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", f.Protocol, f.Client, f.Dst, f.Route, cmp.Or(f.Origin, "-"),
			Seconds(f.AgeSeconds), Seconds(f.IdleSeconds), Bytes(uint64(f.toOrigin)), Bytes(uint64(f.toClient)), Bytes(f.ToOrigin), Bytes(f.ToClient)))
	}
	return rows
}

// grown is what came, where a counter may have been taken back a little.
func grown(now, before uint64) float64 { return float64(now - min(before, now)) }

// perSecond has a digit after the point where that tells something.
func perSecond(rate float64) string {
	if rate == 0 || rate >= 10 {
		return fmt.Sprintf("%.0f", rate)
	}
	return fmt.Sprintf("%.1f", rate)
}
