package text

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// RouteState is how a route does, in a word or two.
func RouteState(r admin.RouteStatus) string {
	up := 0
	for _, o := range r.Origins {
		if o.Up {
			up++
		}
	}
	switch {
	case r.Draining:
		return "draining"
	case len(r.Origins) == 0:
		return cmp.Or(r.Action, "-")
	case up == 0:
		return "DOWN"
	case up < len(r.Origins):
		return fmt.Sprintf("%d/%d up", up, len(r.Origins))
	}
	return "up"
}

// RouteGrid is a table of routes; the wide one has everything.
func RouteGrid(routes []RatedRoute, wide bool, now time.Time) Grid {
	if wide {
		return wideRoutes(routes, now)
	}
	g := Grid{Columns: []Column{
		{Head: "ROUTE", Flex: 8}, {Head: "LIVE", Right: true}, {Head: "MAX", Right: true}, {Head: "NEW/S", Right: true}, {Head: "IN/S", Right: true},
		{Head: "OUT/S", Right: true}, {Head: "ERRORS", Right: true}, {Head: "DENIED", Right: true}, {Head: "QUEUE", Right: true}, {Head: "STATE"},
	}}
	for _, r := range routes {
		g.Rows = append(g.Rows, []string{
			r.Name, Number(uint64(r.ConnsActive)), limit(r.MaxConns), perSecond(r.New), Size(r.ToOrigin), Size(r.ToClient),
			Number(r.Errors), Number(r.Denied), queueText(r.RouteStatus), RouteState(r.RouteStatus),
		})
	}
	return g
}

// wideRoutes has the columns of HAProxy's statistics of a frontend and a backend, and what only anyport has.
func wideRoutes(routes []RatedRoute, now time.Time) Grid {
	g := newGrid([]string{"ROUTE", "PROTO", "STATE", "BALANCE", "ACTION", "PREFIXES", "PORTS"},
		"ROUTE", "PROTO", "STATE", "SINCE", "TIMES DOWN", "DOWN", "LIVE", "PEAK", "MAX", "MAX FLOWS", "TOTAL", "LAST", "NEW/S", "PEAK NEW/S", "MAX NEW/S",
		"IN/S", "OUT/S", "IN", "OUT", "ERRORS", "RETRIES", "ELSEWHERE", "REFUSED", "DENIED", "LIMITED", "QUEUE", "PEAK QUEUE", "MAX QUEUE",
		"AVG WAIT", "AVG CONNECT", "AVG SESSION", "BALANCE", "ACTION", "PREFIXES", "PORTS")
	for _, r := range routes {
		g.Add([]string{
			r.Name, strings.Join(r.Protocol, ","), RouteState(r.RouteStatus), agoOf(r.DownChanged, now), fmt.Sprint(r.TimesDown), lasted(r.DownSeconds),
			fmt.Sprint(r.ConnsActive), fmt.Sprint(r.ConnsPeak), limit(r.MaxConns), limit(r.MaxFlows),
			fmt.Sprint(r.ConnsTotal), agoOf(r.LastNew, now), perSecond(r.New), perSecond(r.NewPeak), limit(r.NewConnsPerSecond),
			Size(r.ToOrigin), Size(r.ToClient), Bytes(r.BytesToOrigin), Bytes(r.BytesToClient),
			fmt.Sprint(r.Errors), fmt.Sprint(r.Retries), fmt.Sprint(r.Moves), fmt.Sprint(r.Refused), fmt.Sprint(r.Denied), fmt.Sprint(r.Limited),
			queueText(r.RouteStatus), peakText(r.RouteStatus), limit(r.Queue),
			took(r.WaitSeconds), took(r.ConnectSeconds), took(r.SessionSeconds), cmp.Or(r.Balance, "-"), r.Action, some(r.Prefixes), some(r.Ports),
		})
	}
	return g
}

// queueText is how many conns wait; "-" without a queue.
func queueText(r admin.RouteStatus) string {
	if r.QueueWaiting == nil {
		return "-"
	}
	return Number(uint64(*r.QueueWaiting))
}

// peakText is how many conns have waited at once at most; "-" without a queue.
func peakText(r admin.RouteStatus) string {
	if r.QueueWaiting == nil && r.QueuePeak == 0 {
		return "-"
	}
	return Number(uint64(r.QueuePeak))
}

// RouteText is everything about one route that its row has no room for.
func RouteText(r RatedRoute) string {
	return fmt.Sprintf("%s: %s, %s, ports %s, %d live, peak %d, %d in all, %s in, %s out, %d refused, %d limited",
		r.Name, strings.Join(r.Protocol, ","), some(r.Prefixes), ports(r.RouteStatus), r.ConnsActive, r.ConnsPeak, r.ConnsTotal, Bytes(r.BytesToOrigin), Bytes(r.BytesToClient), r.Refused, r.Limited)
}
