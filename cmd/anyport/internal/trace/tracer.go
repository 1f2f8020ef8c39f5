package trace

import (
	"context"
	"slices"
	"sync"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

const (
	// mostQueued bounds the events that wait for a reader.
	mostQueued = 4096
	// settle is how long an event waits for earlier ones, which another goroutine reads from the kernel.
	settle = 50 * time.Millisecond
	// pause is the time between two looks at what has come.
	pause = 100 * time.Millisecond
	// repeatWithin is how long the datagrams of one flow with one verdict are shown as the first of them.
	repeatWithin = time.Second
	// mostTuples bounds the flows whose datagrams are summed.
	mostTuples = 4096
)

// Tracer is one trace. Events come from any goroutine; Next and Close are its reader's.
type Tracer struct {
	hub    *Hub
	filter admin.TraceFilter
	ended  chan struct{} // closed by end

	unsettled []event // of the reader: taken from the queue, and not told yet

	mu      sync.Mutex // event loops wait for it: held to append an event, and to take the queue
	queue   []event
	lost    uint64
	repeats map[tuple]repeat
	reason  string // of the end; "": it goes on
}

// repeat is what a tracer knows of the datagrams of one flow.
type repeat struct {
	shown time.Time // the last one that was shown
	left  int       // datagrams since that were not
}

func newTracer(h *Hub, filter admin.TraceFilter) *Tracer {
	return &Tracer{hub: h, filter: filter, ended: make(chan struct{}), repeats: map[tuple]repeat{}}
}

// add queues an event, or counts it as lost. A live UDP flow comes to the program with each datagram, so
// those that say the same again are only counted.
func (t *Tracer) add(e event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tuple, ok := e.datagram(); ok {
		r, known := t.repeats[tuple]
		if known && e.at.Sub(r.shown) < repeatWithin {
			r.left++
			t.repeats[tuple] = r
			return
		}
		if len(t.repeats) >= mostTuples {
			clear(t.repeats)
		}
		e.repeated = r.left
		t.repeats[tuple] = repeat{shown: e.at}
	}
	if len(t.queue) >= mostQueued {
		t.lost++
		return
	}
	t.queue = append(t.queue, e)
}

func (t *Tracer) noteLost(n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost += n
}

// end has Next return what is left, and then that the trace is over. The hub calls it, with mu held.
func (t *Tracer) end(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reason == "" {
		t.reason = reason
		close(t.ended)
	}
}

// Ended is closed when the hub has ended the trace: a writer then has to come to its end.
func (t *Tracer) Ended() <-chan struct{} { return t.ended }

// Next waits for events, and returns them in the order of time. The last one of a trace that the hub has ended
// is an admin.TraceEnd. It returns nil when ctx ends.
func (t *Tracer) Next(ctx context.Context) []admin.TraceEvent {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.ended:
			return t.take(time.Now(), 0)
		case <-time.After(pause):
		}
		if lines := t.take(time.Now(), settle); len(lines) > 0 {
			return lines
		}
	}
}

// take returns what has settled, and what was lost. It sorts without the mutex, which event loops wait for.
func (t *Tracer) take(now time.Time, settle time.Duration) (lines []admin.TraceEvent) {
	t.mu.Lock()
	come := t.queue
	t.queue = nil
	lost, reason := t.lost, t.reason
	t.lost = 0
	t.mu.Unlock()

	events := append(t.unsettled, come...)
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	n := len(events)
	for n > 0 && now.Sub(events[n-1].at) < settle {
		n--
	}
	t.unsettled = slices.Clone(events[n:])
	events = events[:n]
	for _, e := range events {
		lines = append(lines, e.line(now))
	}
	if lost > 0 {
		lines = append(lines, admin.TraceEvent{Time: now, By: admin.ByTrace, Event: admin.TraceLost, Lost: lost})
	}
	if reason != "" {
		lines = append(lines, admin.TraceEvent{Time: now, By: admin.ByTrace, Event: admin.TraceEnd, Reason: reason})
	}
	return lines
}

// Close ends the trace for its reader.
func (t *Tracer) Close() {
	t.hub.mu.Lock()
	defer t.hub.mu.Unlock()
	t.hub.remove(t)
}
