package follow_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/fleettest"
	"anyport/cmd/anyport/internal/fleet/follow"
)

// patience is for a machine that does much else.
const patience = time.Minute

// host follows a store as a daemon does that takes every table.
type host struct {
	*follow.Follower
	offers chan follow.Offer

	mu      sync.Mutex
	serving fleet.Hash
}

// start follows until the end of the test, or until stop.
func start(t *testing.T, store *fleettest.Store) (h *host, stop func()) {
	h = &host{offers: make(chan follow.Offer, 100)}
	h.Follower = follow.New(follow.Options{
		Host: "edge1", Log: slog.New(slog.DiscardHandler),
		Open: func() (follow.Source, error) { return follow.Stored(store), nil },
		Offer: func(o follow.Offer) {
			if o.Err == nil {
				h.mu.Lock()
				h.serving = o.Table
				h.mu.Unlock()
			}
			h.offers <- o
		},
		Serving: h.table,
		Report:  func() fleet.Report { return fleet.Report{Table: h.table(), Announcing: true} },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); h.Run(ctx) }() // ended by stop
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return h, stop
}

func (h *host) table() fleet.Hash {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.serving
}

// next is the next offer.
func (h *host) next(t *testing.T) follow.Offer {
	t.Helper()
	select {
	case o := <-h.offers:
		return o
	case <-time.After(patience):
		t.Fatal("no offer")
	}
	panic("unreachable")
}

// eventually polls.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}

// move moves the pointer to a text, and to one on trial for edge1.
func move(t *testing.T, store *fleettest.Store, text, trial string) fleet.PushSession {
	t.Helper()
	ctx := t.Context()
	push, err := store.BeginPush(ctx, fleet.Push{})
	if err != nil {
		t.Fatal(err)
	}
	state, err := store.State(ctx)
	if err != nil {
		t.Fatal(err)
	}
	next := fleet.Pointer{Table: put(t, store, text)}
	if trial != "" {
		next.Trial = &fleet.Trial{Table: put(t, store, trial), Hosts: []string{"edge1"}, Lease: push.Lease()}
	}
	if _, err := push.Swap(ctx, state.Pointer, next); err != nil {
		t.Fatal(err)
	}
	return push
}

func put(t *testing.T, store *fleettest.Store, text string) fleet.Hash {
	t.Helper()
	table, err := store.PutTable(t.Context(), []byte(text), "me")
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestFollow: a host is offered each table once, that of a trial while its push runs, and reports; while the store is
// away it is offered nothing and says so.
func TestFollow(t *testing.T) {
	t.Parallel()
	store := fleettest.New()
	h, stop := start(t, store)
	eventually(t, "the store is reached", func() bool { return h.Status().Up })
	push := move(t, store, "first", "second")
	if o := h.next(t); string(o.Text) != "second" || !o.Trial {
		t.Errorf("the offer of a trial: %+v", o)
	}
	store.Expire(push.Lease())
	if o := h.next(t); string(o.Text) != "first" || o.Trial {
		t.Errorf("after the end of the push: %+v", o)
	}
	eventually(t, "it reports its table", func() bool {
		hosts, _ := store.Hosts(t.Context())
		return len(hosts) == 1 && hosts[0].Host == "edge1" && hosts[0].Table == fleet.HashOf([]byte("first"))
	})

	store.SetAway(true)
	eventually(t, "it knows that the store is away", func() bool { s := h.Status(); return !s.Up && s.Problem != "" })
	if _, err := h.MayWithdraw(t.Context(), 0); err == nil {
		t.Error("it may withdraw without asking anybody")
	}
	store.SetAway(false)
	_ = move(t, store, "third", "").Close(t.Context())
	for {
		if o := h.next(t); string(o.Text) == "third" {
			break
		}
	}
	eventually(t, "it may withdraw again", func() bool { ok, err := h.MayWithdraw(t.Context(), 0); return ok && err == nil })
	select {
	case o := <-h.offers:
		t.Errorf("offered again: %+v", o)
	default:
	}
	stop()
	if hosts, _ := store.Hosts(t.Context()); len(hosts) != 0 {
		t.Errorf("the report of a host that has stopped: %+v", hosts)
	}
}

// TestNoSuchTable: a table that is named and not there is offered as an error, and again once it is there.
func TestNoSuchTable(t *testing.T) {
	t.Parallel()
	store := fleettest.New()
	push, err := store.BeginPush(t.Context(), fleet.Push{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := push.Swap(t.Context(), fleet.Pointer{}, fleet.Pointer{Table: fleet.HashOf([]byte("late"))}); err != nil {
		t.Fatal(err)
	}
	h, _ := start(t, store)
	if o := h.next(t); !errors.Is(o.Err, fleet.ErrNoTable) {
		t.Errorf("the offer of a table that is not there: %+v", o)
	}
	put(t, store, "late")
	_ = push.Close(t.Context()) // a sign of life: the store tells who watches
	if o := h.next(t); o.Err != nil || string(o.Text) != "late" {
		t.Errorf("once it is there: %+v", o)
	}
	if s := h.Status(); s.FetchProblem != "" {
		t.Errorf("the problem stays: %s", s.FetchProblem)
	}
}

// TestLeaseLost: a host whose lease has ended joins again; one that another process replaces leaves its report.
func TestLeaseLost(t *testing.T) {
	t.Parallel()
	store := fleettest.New()
	h, stop := start(t, store)
	reports := func() int { hosts, _ := store.Hosts(t.Context()); return len(hosts) }
	eventually(t, "it reports", func() bool { return reports() == 1 })
	store.ExpireAll()
	if n := reports(); n != 0 {
		t.Errorf("%d reports without a lease", n)
	}
	eventually(t, "it reports again", func() bool { return reports() == 1 })
	h.LeaveReport()
	stop()
	if n := reports(); n != 1 {
		t.Errorf("%d reports after a process that was replaced", n)
	}
}
