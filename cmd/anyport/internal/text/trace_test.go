package text

import (
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// TestTraceLine: each event is one line, which begins with the time.
func TestTraceLine(t *testing.T) {
	const client, dst = "198.51.100.7:40000", "192.0.2.1:80"
	bytes := func(n uint64) *uint64 { return &n }
	for want, e := range map[string]admin.TraceEvent{
		"kernel tcp 198.51.100.7:40000 > 192.0.2.1:80 web: steer": {By: admin.ByKernel, Verdict: "steer", Fate: "steer", Route: "web"},
		"kernel tcp 198.51.100.7:40000 > 192.0.2.1:80: refuse":    {By: admin.ByKernel, Verdict: "refuse", Fate: "refuse"},
		"kernel tcp 198.51.100.7:40000 > 192.0.2.1:80 ssh: deny -> drop (no_open_door), knock step, 3 more before": {
			By: admin.ByKernel, Verdict: "deny", Fate: "drop", Reason: "no_open_door", Knock: "step", Repeated: 3, Route: "ssh"},
		"5c0f tcp 198.51.100.7:40000 > 192.0.2.1:80 web accepted":                  {By: admin.ByProxy, Event: admin.TraceAccepted, ID: "5c0f", Route: "web"},
		"5c0f tcp 198.51.100.7:40000 > 192.0.2.1:80 web accepted to 10.0.0.5:80":   {By: admin.ByProxy, Event: admin.TraceAccepted, ID: "5c0f", Route: "web", Origin: "10.0.0.5:80"},
		"5c0f dialling 10.0.0.5:80, attempt 2":                                     {By: admin.ByProxy, Event: admin.TraceDialling, ID: "5c0f", Origin: "10.0.0.5:80", Attempt: 2},
		"5c0f dial of 10.0.0.5:80 failed: refused, attempt 2":                      {By: admin.ByProxy, Event: admin.TraceDialFailed, ID: "5c0f", Origin: "10.0.0.5:80", Error: "refused", Attempt: 2},
		"5c0f connected to 10.0.0.5:80 in 412µs":                                   {By: admin.ByProxy, Event: admin.TraceConnected, ID: "5c0f", Origin: "10.0.0.5:80", Connect: 0.000412},
		"5c0f goes on to 10.0.0.6:80":                                              {By: admin.ByProxy, Event: admin.TraceMoved, ID: "5c0f", Origin: "10.0.0.6:80"},
		"5c0f ended: closed by nobody, 6.85s, to origin 517 B, to client 3.1 KiB":  {By: admin.ByProxy, Event: admin.TraceEnded, ID: "5c0f", Verdict: "closed", EndedBy: "nobody", Seconds: 6.848, ToOrigin: bytes(517), ToClient: bytes(3174)},
		"5c0f tcp 198.51.100.7:40000 > 192.0.2.1:80 web refused: killed":           {By: admin.ByProxy, Event: admin.TraceRefused, ID: "5c0f", Verdict: "killed", Route: "web"},
		"tcp 198.51.100.7:40000 via 10.9.9.9:1 > 192.0.2.1:80 web refused: denied": {By: admin.ByProxy, Event: admin.TraceRefused, Peer: "10.9.9.9:1", Verdict: "denied", Route: "web"},
		"-- tracing": {By: admin.ByTrace, Event: admin.TraceBegin},
		"-- 1 event lost: they came faster than they were read":                            {By: admin.ByTrace, Event: admin.TraceLost, Lost: 1},
		"-- an upgrade has begun: the trace goes on with the process that serves after it": {By: admin.ByTrace, Event: admin.TraceEnd, Reason: admin.TraceUpgrade},
		"-- the trace has ended: stopped":                                                  {By: admin.ByTrace, Event: admin.TraceEnd, Reason: "stopped"},
	} {
		e.Time, e.Protocol, e.Client, e.Dst = time.Date(2026, 5, 4, 3, 2, 1, 5e6, time.Local), "tcp", client, dst
		if got := TraceLine(e); got != "03:02:01.005 "+want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
