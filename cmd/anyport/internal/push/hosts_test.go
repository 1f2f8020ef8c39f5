package push

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/fleettest"
)

// testFleet is a store with hosts that do as they are told.
type testFleet struct {
	*fleettest.Store
	t *testing.T

	mu     sync.Mutex
	events []Event
}

// newFleet starts hosts named edge1 and so on, with the table "old" in service.
func newFleet(t *testing.T, hosts int, behave func(host string) behaviour) *testFleet {
	f := &testFleet{Store: fleettest.New(), t: t}
	f.push("old", "100%") // before a host is there
	for i := range hosts {
		host := fmt.Sprint("edge", i+1)
		f.start(host, behave(host))
	}
	f.waitFor("all serve", func() bool { return f.serving("old") == hosts })
	f.mu.Lock()
	f.events = nil
	f.mu.Unlock()
	return f
}

// behaviour says what a host does with a table.
type behaviour struct {
	refuses fleet.Hash
	fails   fleet.Hash // on it no conn finds an origin
	dies    fleet.Hash // its report goes a number of looks after it took this table
}

// good takes every table.
func good(string) behaviour { return behaviour{} }

// start lets a host follow the pointer until the test ends.
func (f *testFleet) start(host string, b behaviour) {
	ctx := f.t.Context()
	m, err := f.Join(ctx, host)
	if err != nil {
		f.t.Fatal(err)
	}
	done := make(chan struct{})
	f.t.Cleanup(func() { <-done })
	go func() { // ends with the test
		defer close(done)
		r := fleet.Report{Host: host, Ready: true, Began: began}
		for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
			if state, err := f.State(ctx); err == nil {
				b.follow(&r, state)
			}
			if r.Table == b.dies && b.dies != "" {
				_ = m.Close(ctx)
				return
			}
			_ = m.Report(ctx, r)
		}
	}()
}

// follow is a host's reaction to the pointer, and some conns.
func (b behaviour) follow(r *fleet.Report, state fleet.State) {
	if want := state.Table(r.Host); want != r.Table || state.Pointer.Serial != r.Serial {
		r.Serial, r.LastError, r.ErrorTable = state.Pointer.Serial, "", ""
		if want == b.refuses && want != "" {
			r.LastError, r.ErrorTable = "no room", want
		} else {
			r.Table = want
		}
	}
	r.Totals.Conns += 10
	if r.Table == b.fails && b.fails != "" {
		r.Totals.Failed += 10
	}
}

// options are those of a push of a text.
func (f *testFleet) options(text, list string) Options {
	stages, err := ParseStages(list)
	if err != nil {
		f.t.Fatal(err)
	}
	return Options{
		Store: f.Store, Text: []byte(text), By: "root@test", Stages: stages, Hold: 100 * time.Millisecond, Look: 2 * time.Millisecond,
		Say: func(e Event) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.events = append(f.events, e)
		},
	}
}

// push is Run.
func (f *testFleet) push(text, list string) error {
	return Run(f.t.Context(), f.options(text, list))
}

// hold begins a push of "new" whose first host serves the table already, and holds it for long.
func (f *testFleet) hold(ctx context.Context) (ended chan error) {
	o := f.options("new", DefaultStages)
	o.Hold = time.Hour
	ended = make(chan error, 1)
	go func() { ended <- Run(ctx, o) }() // ends with ctx, or as the test has it
	f.waitFor("a host serves", func() bool { return f.said(Serves) == 1 })
	return ended
}

// said counts the events of a kind.
func (f *testFleet) said(kind Kind) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if e.Event == kind {
			n++
		}
	}
	return n
}

// serving counts the hosts that report a table.
func (f *testFleet) serving(text string) (n int) {
	reports, _ := f.Hosts(context.Background())
	for _, r := range reports {
		if r.Table == fleet.HashOf([]byte(text)) {
			n++
		}
	}
	return n
}

// pointer is the pointer that stands.
func (f *testFleet) pointer() fleet.Pointer {
	state, _ := f.State(context.Background())
	return state.Pointer
}

// waitFor waits with patience for something.
func (f *testFleet) waitFor(what string, is func() bool) {
	f.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("never: %s", what)
		}
	}
}
