package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// Tracer is one trace, for one reader.
type Tracer interface {
	Next(ctx context.Context) []admin.TraceEvent // waits for some; the last is an admin.TraceEnd; nil: ctx has ended
	Ended() <-chan struct{}                      // closed when Next comes to the TraceEnd
	Close()
}

const (
	// traceReadWithin is how long a reader may take nothing. Meanwhile its events are lost.
	traceReadWithin = time.Minute
	// traceEndWithin is the same for the last events: a process that stops waits for it.
	traceEndWithin = time.Second
)

// trace streams what happens, a JSON object in each line, until the client leaves, does not read, or the
// trace is ended.
func (a *API) trace(w http.ResponseWriter, r *http.Request) {
	filter, err := admin.ParseTraceFilter(r.URL.Query())
	if err != nil {
		a.write(w, nil, err)
		return
	}
	t, err := a.service.Trace(filter)
	if err != nil {
		a.write(w, nil, err)
		return
	}
	defer t.Close()
	w.Header().Set("Content-Type", "application/x-ndjson")
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // fails if the conn is closed; a deadline would end the stream
	stop := make(chan struct{})
	defer close(stop)
	go func() { // ended by stop: lets a write that waits come to its end
		select {
		case <-t.Ended():
			_ = c.SetWriteDeadline(time.Now().Add(traceEndWithin))
		case <-stop:
		}
	}()
	begin := admin.TraceEvent{Time: time.Now().Round(0), By: admin.ByTrace, Event: admin.TraceBegin}
	if writeTrace(w, c, []admin.TraceEvent{begin}) != nil {
		return
	}
	for lines := t.Next(r.Context()); len(lines) > 0; lines = t.Next(r.Context()) {
		setWriteDeadline(c, t)
		if writeTrace(w, c, lines) != nil || lines[len(lines)-1].Event == admin.TraceEnd {
			return
		}
	}
}

// setWriteDeadline looks at the end after it has set the usual deadline: that one must not replace the one that
// the end brings.
func setWriteDeadline(c *http.ResponseController, t Tracer) {
	_ = c.SetWriteDeadline(time.Now().Add(traceReadWithin))
	select {
	case <-t.Ended():
		_ = c.SetWriteDeadline(time.Now().Add(traceEndWithin))
	default:
	}
}

func writeTrace(w http.ResponseWriter, c *http.ResponseController, lines []admin.TraceEvent) error {
	out := json.NewEncoder(w)
	for i := range lines {
		if err := out.Encode(&lines[i]); err != nil {
			return err
		}
	}
	return c.Flush()
}
