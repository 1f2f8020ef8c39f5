package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy/route"
	"anyport/steering"
)

// MostTracers is how many may trace at once: the kernel has a filter for each.
const MostTracers = steering.MostTraceFilters

// Kernel is what the hub asks of the steering.
type Kernel interface {
	SetTrace([]steering.TraceFilter) error
	WatchTrace(ctx context.Context, each func(steering.TraceEvent), lost func(uint64)) error
}

// Proxy is what the hub asks of the proxy.
type Proxy interface{ SetTrace(func(route.Traced)) }

// Hub knows who traces. Its methods may be called from any goroutine.
type Hub struct {
	kernel Kernel
	proxy  Proxy
	log    *slog.Logger

	mu      sync.Mutex
	closed  error // why nobody may trace now; nil: everybody may
	unwatch func()

	failed  atomic.Bool               // the kernel cannot be watched any more: all tracers are about to leave
	tracers atomic.Pointer[[]*Tracer] // changed under mu; a new slice each time
}

// NewHub makes a hub without tracers.
func NewHub(kernel Kernel, proxy Proxy, log *slog.Logger) *Hub {
	h := &Hub{kernel: kernel, proxy: proxy, log: log}
	h.tracers.Store(new([]*Tracer))
	return h
}

// Open begins a trace. The caller owes it a Close.
func (h *Hub) Open(filter admin.TraceFilter) (*Tracer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := *h.tracers.Load()
	if h.closed != nil {
		return nil, h.closed
	}
	if len(before) >= MostTracers {
		return nil, fmt.Errorf("%d traces are running, and that is the most: end one of them first", len(before))
	}
	t := newTracer(h, filter)
	all := append(slices.Clone(before), t)
	h.tracers.Store(&all)
	if len(before) == 0 {
		h.watch()
	} else if h.failed.Load() { // after the Store: endAll has not seen t
		h.remove(t)
		return nil, errors.New("the traces that are running are about to end: ask again in a moment")
	}
	if err := h.kernel.SetTrace(kernelFilters(all)); err != nil {
		h.remove(t)
		return nil, err
	}
	return t, nil
}

// watch has the proxy and the kernel make events, until unwatch has returned. The caller holds mu.
func (h *Hub) watch() {
	h.failed.Store(false)
	h.proxy.SetTrace(func(e route.Traced) { h.deliver(event{at: e.At, step: &e}) })
	ctx, cancel := context.WithCancel(context.Background())
	var watcher sync.WaitGroup // ended by unwatch
	watcher.Go(func() {
		err := h.kernel.WatchTrace(ctx, func(e steering.TraceEvent) { h.deliver(event{at: e.At, packet: &e}) }, h.noteLost)
		if err != nil {
			h.endAll(err)
		}
	})
	h.unwatch = func() {
		cancel()
		watcher.Wait()
	}
}

// endAll ends the traces because the kernel cannot be watched: half of what happens would look like all of it. Their
// readers then close them.
func (h *Hub) endAll(err error) {
	h.log.Warn("the verdicts of the kernel cannot be read, so the traces end", "error", err)
	h.failed.Store(true)
	for _, t := range *h.tracers.Load() {
		t.end(fmt.Sprintf("the verdicts of the kernel cannot be read: %v", err))
	}
}

// remove ends a trace. With the last one nothing is traced any more. The caller holds mu.
func (h *Hub) remove(t *Tracer) {
	before := *h.tracers.Load()
	i := slices.Index(before, t)
	if i < 0 {
		return
	}
	all := slices.Delete(slices.Clone(before), i, i+1)
	h.tracers.Store(&all)
	if err := h.kernel.SetTrace(kernelFilters(all)); err != nil {
		h.log.Warn("the kernel traces more than anybody asks for", "error", err)
	}
	if len(all) == 0 {
		h.proxy.SetTrace(nil)
		h.unwatch()
	}
}

// Pause ends all traces with a reason, and refuses new ones with why until Resume.
func (h *Hub) Pause(reason string, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = why
	for _, t := range *h.tracers.Load() {
		t.end(reason)
		h.remove(t)
	}
}

// Resume undoes Pause.
func (h *Hub) Resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = nil
}

// deliver gives an event to those that want it. It is called by the event loops, and never waits.
func (h *Hub) deliver(e event) {
	for _, t := range *h.tracers.Load() {
		if e.matches(t.filter) {
			t.add(e)
		}
	}
}

// noteLost counts events that the kernel had no room for. Whose they were is not known.
func (h *Hub) noteLost(n uint64) {
	for _, t := range *h.tracers.Load() {
		t.noteLost(n)
	}
}

func kernelFilters(tracers []*Tracer) []steering.TraceFilter {
	var all []steering.TraceFilter
	for _, t := range tracers {
		all = append(all, steering.TraceFilter{Client: t.filter.Client.Prefix, Route: t.filter.Route})
	}
	return all
}
