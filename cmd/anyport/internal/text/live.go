package text

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// FlowOrders are the words by which live flows are sorted. The first is the usual one.
var FlowOrders = []string{"rate", "bytes", "age", "idle"}

// SortFlows sorts flows that have their rates, the largest first.
func SortFlows(flows []admin.Flow, by string) {
	slices.SortStableFunc(flows, func(a, b admin.Flow) int {
		switch by {
		case "bytes":
			return cmp.Compare(b.ToOrigin+b.ToClient, a.ToOrigin+a.ToClient)
		case "age":
			return cmp.Compare(b.AgeSeconds, a.AgeSeconds)
		case "idle":
			return cmp.Compare(b.IdleSeconds, a.IdleSeconds)
		}
		return ByRate(a, b)
	})
}

// FlowGrid is a table of flows that have their rates, in 80 columns if the addresses may be shortened. The wide
// one has everything.
func FlowGrid(flows []admin.Flow, wide bool) Grid {
	g := Grid{Columns: []Column{
		{Head: "PROTO"}, {Head: "CLIENT", Flex: 12}, {Head: "DST", Flex: 12}, {Head: "ORIGIN", Flex: 10},
		{Head: "AGE", Right: true}, {Head: "IDLE", Right: true}, {Head: "IN/S", Right: true}, {Head: "OUT/S", Right: true},
	}}
	if wide {
		g.Columns = append(g.Columns, Column{Head: "IN", Right: true}, Column{Head: "OUT", Right: true}, Column{Head: "STATE"}, Column{Head: "ROUTE", Flex: 6}, Column{Head: "ID"})
	}
	for _, f := range flows {
		row := []string{
			f.Protocol, f.Client, f.Dst, flowOrigin(f), shortTime(f.AgeSeconds), shortTime(f.IdleSeconds), Size(f.FlowRates.ToOrigin), Size(f.FlowRates.ToClient),
		}
		if wide {
			row = append(row, Size(float64(f.ToOrigin)), Size(float64(f.ToClient)), f.State, f.Route, f.ID)
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// FlowText is everything about one flow, in full.
func FlowText(f admin.Flow) string {
	via := ""
	if f.Peer != "" {
		via = " via " + f.Peer
	}
	return fmt.Sprintf("%s %s%s → %s → %s, %s, route %s, %s in, %s out, id %s", f.Protocol, f.Client, via, f.Dst, flowOrigin(f), f.State, f.Route, Bytes(f.ToOrigin), Bytes(f.ToClient), f.ID)
}

// Summary is one line about the process.
func Summary(s *admin.Status, routes []RatedRoute) string {
	var all Rates
	live := int64(0)
	for _, r := range routes {
		all = all.plus(r.Rates)
		live += r.ConnsActive
	}
	return fmt.Sprintf("anyport %s, pid %d, %s %s: %d live, %s new/s, in %s/s, out %s/s", s.Version, s.PID, state(s), ago(time.Unix(0, 0), time.Unix(s.UptimeSeconds, 0)),
		live, perSecond(all.New), Size(all.ToOrigin), Size(all.ToClient))
}

// Picture is what happened between two samples, for a file: the routes, and some flows with their rates.
func Picture(before, now Sample, flows []admin.Flow) string {
	routes := RateRoutes(before, now)
	lines := []string{Summary(now.Status, routes)}
	if now.Status.Trial != nil {
		lines = append(lines, Trial(now.Status.Trial, now.At))
	}
	lines = append(append(lines, ""), RouteGrid(routes, false, now.At).Lines(0)...)
	if len(flows) > 0 {
		lines = append(append(lines, ""), FlowGrid(flows, true).Lines(0)...)
	}
	return strings.Join(lines, "\n") + "\n"
}
