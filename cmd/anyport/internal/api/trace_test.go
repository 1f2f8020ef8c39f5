package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/openapitest"
)

// TestTraceStream: the answer begins at once, has an object in each line, and ends with the trace.
func TestTraceStream(t *testing.T) {
	answer := asRoot(&fakeService{}, httptest.NewRequest("GET", "/trace?client=198.51.100.0/24", nil))
	var events []string
	for line := range strings.Lines(answer.Body.String()) {
		var e admin.TraceEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		events = append(events, e.Event)
		for _, wrong := range openapitest.Check("TraceEvent", []byte(line)) {
			t.Errorf("%s: %s", line, wrong)
		}
	}
	if want := []string{admin.TraceBegin, admin.TracePacket, admin.TraceEnd}; !slices.Equal(events, want) || !answer.Flushed {
		t.Errorf("%q, want %q", events, want)
	}
	for request, service := range map[string]*fakeService{"/trace?client=me": {}, "/trace?route=web": {err: errors.New("no")}} {
		if answer := asRoot(service, httptest.NewRequest("GET", request, nil)); answer.Code != http.StatusConflict {
			t.Errorf("%s: %d, %s", request, answer.Code, answer.Body)
		}
	}
}

// endingWriter is a reader's conn. The trace ends while the handler sets the usual deadline.
type endingWriter struct {
	*httptest.ResponseRecorder
	ended, short chan struct{} // short is closed when the end has brought its deadline

	mu       sync.Mutex
	deadline time.Duration // from the call that has set it
	longest  time.Duration // of a write after the end
}

func (w *endingWriter) SetWriteDeadline(at time.Time) error {
	within := time.Until(at)
	if !w.isEnded() && within > traceEndWithin {
		close(w.ended)
		<-w.short
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if within <= traceEndWithin && w.deadline == 0 {
		close(w.short)
	}
	w.deadline = within
	return nil
}

func (w *endingWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isEnded() {
		w.longest = max(w.longest, w.deadline)
	}
	return w.ResponseRecorder.Write(b)
}

func (w *endingWriter) isEnded() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

// endingTracer is a trace that ends when its reader is told of the first event.
type endingTracer struct {
	ended chan struct{}
	told  bool
}

func (t *endingTracer) Next(context.Context) []admin.TraceEvent {
	event := admin.TraceEvent{Event: admin.TracePacket}
	if t.told {
		event.Event = admin.TraceEnd
	}
	t.told = true
	return []admin.TraceEvent{event}
}

func (t *endingTracer) Ended() <-chan struct{} { return t.ended }
func (t *endingTracer) Close()                 {}

// endingService has one trace.
type endingService struct {
	*fakeService
	tracer Tracer
}

func (s endingService) Trace(admin.TraceFilter) (Tracer, error) { return s.tracer, nil }

// TestTraceEndsSoon: a reader who takes nothing does not keep a process that stops for longer than the end of a
// trace may take, also if the trace ends just when the usual deadline is set.
func TestTraceEndsSoon(t *testing.T) {
	tracer := &endingTracer{ended: make(chan struct{})}
	w := &endingWriter{ResponseRecorder: httptest.NewRecorder(), ended: tracer.ended, short: make(chan struct{})}
	New(endingService{&fakeService{}, tracer}, quiet(), nil).trace(w, httptest.NewRequest("GET", "/trace", nil))
	if w.longest == 0 || w.longest > traceEndWithin {
		t.Errorf("a write after the end may take %v, want at most %v", w.longest, traceEndWithin)
	}
}
