package proxy

import (
	"time"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/origin"
	"anyport/proxy/route"
	"anyport/proxy/trend"
)

// noteRouteTrends adds peaks, averages and moments to the status of a route.
func noteRouteTrends(status *RouteStatus, s *route.Stats, totals route.Totals) {
	t := s.Trends()
	status.NewPeak, status.LastNew = t.NewPeak, moment(t.LastNew)
	status.WaitSeconds, status.ConnectSeconds, status.SessionSeconds = average(t.Wait), average(t.Connect), average(t.Session)
	status.Retries, status.Moves = totals.Retries, totals.Moves
	status.DownSeconds, status.TimesDown, status.DownChanged = t.Outage.Seconds(), t.Outages, moment(t.OutageAt)
	for p, sum := range totals.Sessions {
		status.Sessions[p.String()] = sum
	}
}

// noteOriginTrends adds them to the status of an origin.
func noteOriginTrends(status *OriginStatus, o *origin.Origin, r *config.Route, now time.Time) {
	t := o.Trends()
	status.NewPeak, status.LastNew = t.NewPeak, moment(t.LastNew)
	status.ConnectSeconds, status.SessionSeconds = average(t.Connect), average(t.Session)
	status.Accepts, status.AcceptTime = t.Accepts.Count, t.Accepts.Total.Seconds()
	status.Sessions, status.SessionsTime = t.Sessions.Count, t.Sessions.Total.Seconds()
	status.Retries, status.Moves, status.ChecksFailed = t.Retries, t.Moves, t.ChecksFailed
	status.DownSeconds = t.Down.Seconds()
	for v := range health.Verdicts {
		if v.Down() || v == health.Ejected {
			status.TimesDown += o.Changes(v)
		}
	}
	if part, slow := o.SlowStart(r.SlowStart, now); slow && status.Up {
		status.SlowStart = &part
	}
}

// average is that of a sum in seconds; nil of nothing.
func average(s trend.Sum) *float64 {
	if s.Count == 0 {
		return nil
	}
	seconds := s.Mean().Seconds()
	return &seconds
}

// moment is a time that may be missing.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
