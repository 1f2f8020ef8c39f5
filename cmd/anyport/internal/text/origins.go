package text

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

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

// shareText is the part of its weight that an origin gets while it comes back; "-": all of it.
func shareText(o admin.OriginStatus) string {
	if o.SlowStart == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100**o.SlowStart)
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

// Origin writes the state of one origin after an order.
func Origin(out io.Writer, route string, o *admin.OriginStatus) {
	fmt.Fprintf(out, "%s/%s: %s, weight %d, %s\n", route, o.Address, originState(*o), o.Weight, Count(int(o.ConnsActive), "live conn", "live conns"))
}
