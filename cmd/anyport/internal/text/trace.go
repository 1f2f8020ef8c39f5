package text

import (
	"fmt"
	"strings"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// traceClock is the time of a line of a trace, by this host's zone.
const traceClock = "15:04:05.000"

// TraceLine is one event of a trace as a line for people. What identifies it stands first: the addresses of a
// packet, or the id of a conn or flow.
func TraceLine(e admin.TraceEvent) string {
	at := e.Time.In(time.Local).Format(traceClock)
	switch e.By {
	case admin.ByKernel:
		return fmt.Sprintf("%s kernel %s %s > %s%s: %s", at, e.Protocol, e.Client, e.Dst, ofRoute(e.Route), packetWords(e))
	case admin.ByProxy:
		return fmt.Sprintf("%s %s %s", at, traceSubject(e), stepWords(e))
	}
	return fmt.Sprintf("%s -- %s", at, aboutTrace(e))
}

func ofRoute(name string) string {
	if name == "" {
		return ""
	}
	return " " + name
}

// packetWords are the verdict, what becomes of the packet where that is something else, and why.
func packetWords(e admin.TraceEvent) string {
	words := e.Verdict
	if e.Fate != e.Verdict {
		words += " -> " + e.Fate
	}
	if e.Reason != "" {
		words += " (" + e.Reason + ")"
	}
	if e.Knock != "" {
		words += ", knock " + e.Knock
	}
	if e.Repeated > 0 {
		words += fmt.Sprintf(", %d more before", e.Repeated)
	}
	return words
}

// traceSubject is the id, with the addresses where no line before has them.
func traceSubject(e admin.TraceEvent) string {
	if e.ID != "" && e.Event != admin.TraceAccepted && e.Event != admin.TraceRefused {
		return e.ID
	}
	client := e.Client
	if e.Peer != "" {
		client += " via " + e.Peer
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s > %s%s", e.ID, e.Protocol, client, e.Dst, ofRoute(e.Route)))
}

func stepWords(e admin.TraceEvent) string {
	switch e.Event {
	case admin.TraceAccepted:
		return "accepted" + toOrigin(e)
	case admin.TraceDialling:
		return fmt.Sprintf("dialling %s, attempt %d", e.Origin, e.Attempt)
	case admin.TraceDialFailed:
		return fmt.Sprintf("dial of %s failed: %s, attempt %d", e.Origin, e.Error, e.Attempt)
	case admin.TraceConnected:
		return fmt.Sprintf("connected to %s in %s", e.Origin, briefly(e.Connect))
	case admin.TraceMoved:
		return "goes on" + toOrigin(e)
	case admin.TraceEnded:
		return "ended: " + e.Verdict + endWords(e)
	}
	return e.Event + ": " + e.Verdict
}

// briefly writes a time with three digits, to the nanosecond: a conn may be over in a millisecond.
func briefly(seconds float64) string {
	d, unit := time.Duration(seconds*float64(time.Second)), time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

func toOrigin(e admin.TraceEvent) string {
	if e.Origin == "" {
		return ""
	}
	return " to " + e.Origin
}

func endWords(e admin.TraceEvent) string {
	words := fmt.Sprintf(" by %s, %s", e.EndedBy, briefly(e.Seconds))
	if e.ToOrigin != nil && e.ToClient != nil {
		words += fmt.Sprintf(", to origin %s, to client %s", Bytes(*e.ToOrigin), Bytes(*e.ToClient))
	}
	if e.Error != "" {
		words += ", error " + e.Error
	}
	return words
}

// aboutTrace is a line about the trace itself.
func aboutTrace(e admin.TraceEvent) string {
	switch {
	case e.Event == admin.TraceBegin:
		return "tracing"
	case e.Event == admin.TraceLost:
		return fmt.Sprintf("%s lost: they came faster than they were read", Count(int(e.Lost), "event", "events"))
	case e.Reason == admin.TraceUpgrade:
		return "an upgrade has begun: the trace goes on with the process that serves after it"
	}
	return "the trace has ended: " + e.Reason
}
