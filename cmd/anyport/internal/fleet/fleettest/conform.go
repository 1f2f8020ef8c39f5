package fleettest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// Conform checks an empty store: what a push and the hosts rely on.
func Conform(t *testing.T, s fleet.Store) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := conformer{t, ctx, s}
	c.tables()
	c.pointer()
	c.hosts()
	c.namesakes()
	c.withdrawals()
}

// conformer is one run of Conform.
type conformer struct {
	*testing.T
	ctx   context.Context
	store fleet.Store
}

// must ends the test at an error.
func must[V any](value V, err error) func(t *testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// tables: a table of several parts comes back as it was, and goes without those that share a part with it.
func (c conformer) tables() {
	c.Helper()
	if _, err := c.store.Table(c.ctx, fleet.HashOf([]byte("nothing"))); !errors.Is(err, fleet.ErrNoTable) {
		c.Errorf("a table that is not there: %v", err)
	}
	shared := strings.Repeat("0123456789abcdef", fleet.PartSize/16)
	first, second := shared+shared+"first", shared+"second"
	for _, text := range []string{first, second, first} {
		table := must(c.store.PutTable(c.ctx, []byte(text), "me@here"))(c.T)
		if got := must(c.store.Table(c.ctx, table))(c.T); string(got) != text || table != fleet.HashOf(got) {
			c.Fatalf("a table of %d bytes came back with %d, as %s", len(text), len(got), table)
		}
	}
	list := must(c.store.Tables(c.ctx))(c.T)
	if len(list) != 2 || list[0].By != "me@here" || list[0].Created.IsZero() {
		c.Errorf("tables: %+v", list)
	}
	if err := c.store.DeleteTables(c.ctx, fleet.HashOf([]byte(first))); err != nil {
		c.Fatal(err)
	}
	if _, err := c.store.Table(c.ctx, fleet.HashOf([]byte(first))); !errors.Is(err, fleet.ErrNoTable) {
		c.Errorf("a deleted table: %v", err)
	}
	if got := must(c.store.Table(c.ctx, fleet.HashOf([]byte(second))))(c.T); string(got) != second {
		c.Error("a table has lost a part that a deleted one had, too")
	}
}

// pointer: only the push that runs moves it, from where it was read, and those who watch see each state.
func (c conformer) pointer() {
	watching, stop := context.WithCancel(c.ctx)
	defer stop()
	seen := make(chan fleet.State, 100)
	go func() { _ = c.store.Watch(watching, func(s fleet.State) { seen <- s }) }() // ended by stop
	c.await(seen, func(s fleet.State) bool { return s.Pointer.Revision == 0 && s.Push == nil })

	push := must(c.store.BeginPush(c.ctx, fleet.Push{By: "me@here", PID: 7}))(c.T)
	runs := new(fleet.PushRunsError)
	if _, err := c.store.BeginPush(c.ctx, fleet.Push{By: "other"}); !errors.As(err, &runs) || runs.Push.By != "me@here" || runs.Push.Lease != push.Lease() {
		c.Errorf("a second push: %v", err)
	}
	first := must(push.Swap(c.ctx, fleet.Pointer{}, fleet.Pointer{Table: fleet.HashOf([]byte("a"))}))(c.T)
	if first.Serial != 1 || first.Revision == 0 {
		c.Errorf("the first pointer: %+v", first)
	}
	if _, err := push.Swap(c.ctx, fleet.Pointer{}, first); !errors.Is(err, fleet.ErrChanged) {
		c.Errorf("a swap from where the pointer is not: %v", err)
	}
	next := first
	next.Trial = &fleet.Trial{Table: fleet.HashOf([]byte("b")), Hosts: []string{"edge1"}, Lease: push.Lease()}
	next = must(push.Swap(c.ctx, first, next))(c.T)
	c.await(seen, func(s fleet.State) bool { return s.OnTrial("edge1") && !s.OnTrial("edge2") && s.Pointer.Serial == 2 })
	if state := must(c.store.State(c.ctx))(c.T); state.Pointer.Revision != next.Revision || state.Push.Lease != push.Lease() {
		c.Errorf("the state that is read: %+v", state)
	}
	if err := c.store.EndPush(c.ctx); err != nil {
		c.Fatal(err)
	}
	c.await(seen, func(s fleet.State) bool { return s.Pointer.Serial == 2 && !s.OnTrial("edge1") })
	<-push.Lost()
	if _, err := push.Swap(c.ctx, next, first); !errors.Is(err, fleet.ErrChanged) {
		c.Errorf("a swap without a lease: %v", err)
	}
	push = must(c.store.BeginPush(c.ctx, fleet.Push{By: "me@here"}))(c.T)
	if _, err := push.Swap(c.ctx, next, first); err != nil {
		c.Errorf("the next push: %v", err)
	}
	if err := push.Close(c.ctx); err != nil {
		c.Error(err)
	}
}

// await takes states until one is as it should be.
func (c conformer) await(seen <-chan fleet.State, as func(fleet.State) bool) {
	c.Helper()
	var last fleet.State
	for {
		select {
		case last = <-seen:
			if as(last) {
				return
			}
		case <-c.ctx.Done():
			c.Fatalf("the last state seen: %+v", last)
		}
	}
}
