package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
	"anyport/proxy/route"
	"anyport/steering"
	"anyport/steering/table"
)

// fakes are a kernel and a proxy that a test lets make events.
type fakes struct {
	mu      sync.Mutex
	filters []steering.TraceFilter
	packet  func(steering.TraceEvent) // nil: nobody watches
	lost    func(uint64)
	step    func(route.Traced)
	err     error // of SetTrace
	watch   error // of WatchTrace; nil: it watches
}

func (f *fakes) SetTrace(filters []steering.TraceFilter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filters = filters
	return f.err
}

func (f *fakes) WatchTrace(ctx context.Context, each func(steering.TraceEvent), lost func(uint64)) error {
	f.mu.Lock()
	f.packet, f.lost = each, lost
	err := f.watch
	f.mu.Unlock()
	if err != nil {
		return err
	}
	<-ctx.Done()
	f.mu.Lock()
	f.packet = nil
	f.mu.Unlock()
	return nil
}

// proxyOf is the proxy's half.
type proxyOf struct{ *fakes }

func (p proxyOf) SetTrace(to func(route.Traced)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step = to
}

func (f *fakes) awaitWatch(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		watched := f.packet != nil
		f.mu.Unlock()
		if watched {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the kernel is not watched")
		}
	}
}

func newTestHub() (*Hub, *fakes) {
	f := &fakes{}
	return NewHub(f, proxyOf{f}, slog.New(slog.DiscardHandler)), f
}

func mustOpen(t *testing.T, h *Hub, f admin.TraceFilter) *Tracer {
	t.Helper()
	tracer, err := h.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

func packetAt(at time.Time, client string, verdict table.Verdict) steering.TraceEvent {
	return steering.TraceEvent{At: at, Protocol: config.TCP, Client: netip.MustParseAddrPort(client), Dst: netip.MustParseAddrPort("192.0.2.1:80"), Route: "web", Verdict: verdict, Fate: verdict}
}

func stepAt(at time.Time, client string, step route.Step) route.Traced {
	return route.Traced{At: at, Step: step, Record: route.Record{ID: 1, Protocol: config.TCP, Client: netip.MustParseAddrPort(client), Dst: netip.MustParseAddrPort("192.0.2.1:80"), Route: "web", Verdict: route.Closed}}
}

// TestHubWatches: the kernel and the proxy make events while somebody traces, for the filters of all, and
// after the last one nothing is left.
func TestHubWatches(t *testing.T) {
	h, f := newTestHub()
	first := mustOpen(t, h, admin.TraceFilter{Route: "web"})
	f.awaitWatch(t)
	second := mustOpen(t, h, admin.TraceFilter{Client: admin.Where{Prefix: netip.MustParsePrefix("198.51.100.0/24")}})
	if want := []steering.TraceFilter{{Route: "web"}, {Client: netip.MustParsePrefix("198.51.100.0/24")}}; !slices.Equal(f.filters, want) {
		t.Errorf("the kernel is asked for %v", f.filters)
	}
	first.Close()
	first.Close()
	if len(f.filters) != 1 || f.step == nil || f.packet == nil {
		t.Errorf("one trace is left, and the kernel is asked for %v", f.filters)
	}
	second.Close()
	if len(f.filters) != 0 || f.step != nil || f.packet != nil {
		t.Errorf("nobody traces, and the kernel is asked for %v", f.filters)
	}
}

// TestHubBounds: there are as many traces as the kernel has filters, and one more after another has ended.
func TestHubBounds(t *testing.T) {
	h, f := newTestHub()
	var all []*Tracer
	for range MostTracers {
		all = append(all, mustOpen(t, h, admin.TraceFilter{}))
	}
	if _, err := h.Open(admin.TraceFilter{}); err == nil {
		t.Error("more traces than the kernel has filters")
	}
	all[3].Close()
	all[3] = mustOpen(t, h, admin.TraceFilter{})
	for _, t := range all {
		t.Close()
	}
	f.err = errors.New("no")
	if _, err := h.Open(admin.TraceFilter{}); err == nil || f.step != nil || f.packet != nil {
		t.Errorf("the kernel has refused: %v", err)
	}
}

// TestHubPause: all traces end with a reason, and none begins until Resume.
func TestHubPause(t *testing.T) {
	h, f := newTestHub()
	tracer := mustOpen(t, h, admin.TraceFilter{})
	f.step(stepAt(time.Now(), "198.51.100.7:1", route.StepEnded))
	h.Pause("upgrade", errors.New("not now"))
	lines := tracer.Next(t.Context())
	if len(lines) != 2 || lines[0].Event != admin.TraceEnded || lines[1].Event != admin.TraceEnd || lines[1].Reason != "upgrade" {
		t.Errorf("%+v", lines)
	}
	tracer.Close()
	if _, err := h.Open(admin.TraceFilter{}); err == nil || err.Error() != "not now" {
		t.Error(err)
	}
	if len(f.filters) != 0 || f.step != nil || f.packet != nil {
		t.Error("it is traced for nobody")
	}
	h.Resume()
	mustOpen(t, h, admin.TraceFilter{}).Close()
}

// TestRefused: what was refused has no bytes and no age, with an id and without one.
func TestRefused(t *testing.T) {
	for step, id := range map[route.Step]route.ID{route.StepRefused: 7, route.StepEnded: 0} {
		e := stepAt(time.Now(), "198.51.100.7:1", step)
		e.ID = id
		if line := stepLine(&e, e.At); line.Event != admin.TraceRefused || line.ToOrigin != nil || (line.ID != "") != (id != 0) {
			t.Errorf("%+v", line)
		}
	}
}

// TestKernelIsNotWatched: a trace without the kernel's half ends with the reason, and the next one tries again.
func TestKernelIsNotWatched(t *testing.T) {
	h, f := newTestHub()
	f.watch = errors.New("too many open files")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tracer := mustOpen(t, h, admin.TraceFilter{})
	lines := tracer.Next(ctx)
	if len(lines) != 1 || lines[0].Event != admin.TraceEnd || !strings.Contains(lines[0].Reason, "too many open files") {
		t.Fatalf("%+v", lines)
	}
	if _, err := h.Open(admin.TraceFilter{}); err == nil {
		t.Error("a trace joins those that have ended")
	}
	tracer.Close()
	f.watch = nil
	next := mustOpen(t, h, admin.TraceFilter{})
	f.awaitWatch(t)
	next.Close()
}

// TestTracerOrder: events are told in the order of time, whoever comes first.
func TestTracerOrder(t *testing.T) {
	h, f := newTestHub()
	tracer := mustOpen(t, h, admin.TraceFilter{})
	defer tracer.Close()
	f.awaitWatch(t)
	began := time.Now()
	f.step(stepAt(began.Add(2*time.Microsecond), "198.51.100.7:1", route.StepAccepted))
	f.packet(packetAt(began.Add(time.Microsecond), "198.51.100.7:1", table.Steer))
	var events []string
	for _, line := range tracer.Next(t.Context()) {
		events = append(events, line.Event)
	}
	if !slices.Equal(events, []string{"packet", "accepted"}) {
		t.Error(events)
	}
}

// TestTracerLoses: what a reader does not take is counted, and what the kernel has lost with it.
func TestTracerLoses(t *testing.T) {
	h, f := newTestHub()
	tracer := mustOpen(t, h, admin.TraceFilter{})
	defer tracer.Close()
	f.awaitWatch(t)
	long := time.Now().Add(-time.Second)
	for range mostQueued + 5 {
		f.step(stepAt(long, "198.51.100.7:1", route.StepAccepted))
	}
	f.lost(7)
	lines := tracer.Next(t.Context())
	if n := len(lines); n != mostQueued+1 || lines[n-1].Lost != 12 {
		t.Errorf("%d lines, the last one %+v", n, lines[n-1])
	}
	f.step(stepAt(long, "198.51.100.7:1", route.StepAccepted))
	if lines := tracer.Next(t.Context()); len(lines) != 1 || lines[0].Event != admin.TraceAccepted {
		t.Errorf("then %+v", lines)
	}
}

// TestTracerRepeats: of the datagrams of one flow that say the same, one a second is told, with the number of
// the others; TCP and other verdicts are told each time.
func TestTracerRepeats(t *testing.T) {
	h, f := newTestHub()
	tracer := mustOpen(t, h, admin.TraceFilter{})
	defer tracer.Close()
	f.awaitWatch(t)
	began := time.Now().Add(-time.Minute)
	datagram := func(after time.Duration, verdict table.Verdict) {
		e := packetAt(began.Add(after), "198.51.100.7:1", verdict)
		e.Protocol = config.UDP
		f.packet(e)
	}
	datagram(0, table.Steer)
	datagram(300*time.Millisecond, table.Steer)
	datagram(600*time.Millisecond, table.Limit)
	datagram(900*time.Millisecond, table.Steer)
	datagram(1100*time.Millisecond, table.Steer)
	f.packet(packetAt(began.Add(2*time.Second), "198.51.100.7:1", table.Refuse))
	f.packet(packetAt(began.Add(3*time.Second), "198.51.100.7:1", table.Refuse))
	var got []string
	for _, line := range tracer.Next(t.Context()) {
		got = append(got, fmt.Sprint(line.Protocol, line.Verdict, line.Repeated))
	}
	if want := []string{"udpsteer0", "udplimit0", "udpsteer2", "tcprefuse0", "tcprefuse0"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestMatches compares filters with a naive look at the texts of random events.
func TestMatches(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	clients := []string{"198.51.100.7:1", "198.51.100.8:2", "[2001:db8::7]:1"}
	filters := []string{"", "198.51.100.7", "198.51.100.0/24", "2001:db8::/32", ":1", "198.51.100.8:2"}
	selects := map[string]map[string]bool{ // by hand
		"":                {clients[0]: true, clients[1]: true, clients[2]: true},
		"198.51.100.7":    {clients[0]: true},
		"198.51.100.0/24": {clients[0]: true, clients[1]: true},
		"2001:db8::/32":   {clients[2]: true},
		":1":              {clients[0]: true, clients[2]: true},
		"198.51.100.8:2":  {clients[1]: true},
	}
	pick := func(of []string) string { return of[random.IntN(len(of))] }
	for range 5000 {
		text, name := pick(filters), pick([]string{"", "web", "dns"})
		client, peer, of := pick(clients), pick(append(clients, "")), pick([]string{"", "web", "dns"})
		where, err := admin.ParseWhere(text)
		if err != nil {
			t.Fatal(err)
		}
		filter := admin.TraceFilter{Client: where, Route: name}
		step, packet := stepAt(time.Now(), client, route.StepEnded), packetAt(time.Now(), client, table.Steer)
		step.Route, packet.Route = of, of
		if peer != "" {
			step.Peer = netip.MustParseAddrPort(peer)
		}
		ofRoute := name == "" || name == of
		if got, want := (&event{packet: &packet}).matches(filter), ofRoute && selects[text][client]; got != want {
			t.Errorf("packet of %s on %q, filter %+v: %t", client, of, filter, got)
		}
		if got, want := (&event{step: &step}).matches(filter), ofRoute && (selects[text][client] || selects[text][peer]); got != want {
			t.Errorf("conn of %s via %s on %q, filter %+v: %t", client, peer, of, filter, got)
		}
	}
}
