package text

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// Orders are the words by which routes and origins are sorted, the largest first; name is the first in the
// alphabet first.
var Orders = []string{"name", "live", "new", "bytes", "errors"}

// order compares what two routes or origins have in common.
func order(by string, nameA, nameB string, liveA, liveB int64, a, b Rates, errorsA, errorsB uint64) int {
	switch by {
	case "name":
		return cmp.Compare(nameA, nameB)
	case "live":
		return cmp.Compare(liveB, liveA)
	case "new":
		return cmp.Compare(b.New, a.New)
	case "bytes":
		return cmp.Compare(b.bytes(), a.bytes())
	case "errors":
		return cmp.Or(cmp.Compare(b.Failing, a.Failing), cmp.Compare(errorsB, errorsA))
	}
	return 0
}

// SortRoutes sorts by one of Orders; "" leaves the order of the file.
func SortRoutes(routes []RatedRoute, by string) {
	slices.SortStableFunc(routes, func(a, b RatedRoute) int {
		return order(by, a.Name, b.Name, a.ConnsActive, b.ConnsActive, a.Rates, b.Rates, a.Errors, b.Errors)
	})
}

// SortOrigins is the same for origins.
func SortOrigins(origins []RatedOrigin, by string) {
	slices.SortStableFunc(origins, func(a, b RatedOrigin) int {
		return order(by, a.Address, b.Address, a.ConnsActive, b.ConnsActive, a.Rates, b.Rates, a.Errors, b.Errors)
	})
}

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

// OriginGrid is a table of origins; the wide one has everything.
func OriginGrid(origins []RatedOrigin, wide bool, now time.Time) Grid {
	if wide {
		return wideOrigins(origins, now)
	}
	g := Grid{Columns: []Column{
		{Head: "ORIGIN", Flex: 12}, {Head: "ROUTE", Flex: 6}, {Head: "LIVE", Right: true}, {Head: "NEW/S", Right: true}, {Head: "IN/S", Right: true},
		{Head: "OUT/S", Right: true}, {Head: "ERRORS", Right: true}, {Head: "WEIGHT", Right: true}, {Head: "CHECK", Flex: 5}, {Head: "STATE", Flex: 11},
	}}
	for _, o := range origins {
		g.Rows = append(g.Rows, []string{
			o.Address, o.Route, Number(uint64(o.ConnsActive)), perSecond(o.New), Size(o.ToOrigin), Size(o.ToClient), Number(o.Errors), weightText(o.OriginStatus),
			lastCheck(o.OriginStatus, now), originState(o.OriginStatus),
		})
	}
	return g
}

// wideOrigins has the columns of HAProxy's statistics of a server.
func wideOrigins(origins []RatedOrigin, now time.Time) Grid {
	g := newGrid([]string{"ORIGIN", "ROUTE", "STATE", "SINCE", "WHY", "CHECK"},
		"ORIGIN", "ROUTE", "STATE", "SINCE", "WHY", "TIMES DOWN", "DOWN", "WEIGHT", "SHARE", "LIVE", "PEAK", "MAX", "TOTAL", "LAST", "NEW/S", "PEAK NEW/S",
		"IN/S", "OUT/S", "IN", "OUT", "FAILED DIALS", "ICMP ERRORS", "RETRIES", "LEFT", "CHECK", "CHECK TOOK", "CHECKS FAILED", "AVG CONNECT", "AVG SESSION")
	for _, o := range origins {
		checkTook, failed := "-", "-"
		if o.CheckedAt != nil {
			checkTook, failed = took(&o.CheckSeconds), fmt.Sprint(o.ChecksFailed)
		}
		g.Add([]string{
			originText(o.OriginStatus), o.Route, originState(o.OriginStatus), agoOf(o.Since, now), cmp.Or(o.Why, "-"), fmt.Sprint(o.TimesDown), lasted(o.DownSeconds),
			weightText(o.OriginStatus), shareText(o.OriginStatus), fmt.Sprint(o.ConnsActive), fmt.Sprint(o.ConnsPeak), limit(o.MaxConns),
			fmt.Sprint(o.ConnsTotal), agoOf(o.LastNew, now), perSecond(o.New), perSecond(o.NewPeak), Size(o.ToOrigin), Size(o.ToClient),
			Bytes(o.BytesToOrigin), Bytes(o.BytesToClient), fmt.Sprint(o.FailedDials), fmt.Sprint(o.Refusals), fmt.Sprint(o.Retries), fmt.Sprint(o.Moves),
			lastCheck(o.OriginStatus, now), checkTook, failed, took(o.ConnectSeconds), took(o.SessionSeconds),
		})
	}
	return g
}

// limit is a limit of the file; "-" is none.
func limit(n int) string {
	if n == 0 {
		return "-"
	}
	return Number(uint64(n))
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

// shareText is the part of its weight that an origin gets while it comes back; "-": all of it.
func shareText(o admin.OriginStatus) string {
	if o.SlowStart == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100**o.SlowStart)
}

// took is an average, to three digits; "-": there is none.
func took(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	d := time.Duration(*seconds * float64(time.Second))
	for unit := time.Second; unit > time.Microsecond; unit /= 10 {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Microsecond).String()
}

// lasted is for how long something was so in all; "-": never.
func lasted(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return Seconds(seconds)
}

// weightText marks a backup.
func weightText(o admin.OriginStatus) string {
	if o.Backup {
		return fmt.Sprintf("b%d", o.Weight)
	}
	return fmt.Sprint(o.Weight)
}

// lastCheck is the result of the last active check, and how long ago that was; "-" without checks.
func lastCheck(o admin.OriginStatus, now time.Time) string {
	if o.CheckedAt == nil {
		return "-"
	}
	result := "ok"
	if o.CheckFailed != "" {
		result = "FAILED"
	}
	return result + " " + ago(*o.CheckedAt, now)
}

// agoOf is ago for what may never have been: "-".
func agoOf(at *time.Time, now time.Time) string {
	if at == nil {
		return "-"
	}
	return ago(*at, now)
}

// ago is how long ago something was, in its largest unit.
func ago(at, now time.Time) string {
	d := max(now.Sub(at), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// perSecond has a digit after the point where that tells something.
func perSecond(rate float64) string {
	if rate == 0 || rate >= 10 {
		return Number(uint64(rate + 0.5))
	}
	return fmt.Sprintf("%.1f", rate)
}

// RouteText is everything about one route that its row has no room for.
func RouteText(r RatedRoute) string {
	return fmt.Sprintf("%s: %s, %s, ports %s, %d live, peak %d, %d in all, %s in, %s out, %d refused, %d limited",
		r.Name, strings.Join(r.Protocol, ","), some(r.Prefixes), ports(r.RouteStatus), r.ConnsActive, r.ConnsPeak, r.ConnsTotal, Bytes(r.BytesToOrigin), Bytes(r.BytesToClient), r.Refused, r.Limited)
}

// OriginText is everything about one origin that its row has no room for.
func OriginText(o RatedOrigin, now time.Time) string {
	check := "no checks"
	if o.CheckedAt != nil {
		check = "check " + lastCheck(o.OriginStatus, now)
		if o.CheckFailed != "" {
			check += ": " + o.CheckFailed
		}
	}
	return fmt.Sprintf("%s of %s: %s, %d live, peak %d, max %s, %d in all, %s in, %s out, %d failed dials, %d ICMP errors, %s",
		originText(o.OriginStatus), o.Route, originState(o.OriginStatus), o.ConnsActive, o.ConnsPeak, limit(o.MaxConns), o.ConnsTotal,
		Bytes(o.BytesToOrigin), Bytes(o.BytesToClient), o.FailedDials, o.Refusals, check)
}
