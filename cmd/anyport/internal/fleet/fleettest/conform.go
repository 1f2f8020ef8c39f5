package fleettest

import (
	"context"
	"errors"
	"slices"
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

// names are the hosts that report.
func (c conformer) names() (names []string) {
	c.Helper()
	for _, r := range must(c.store.Hosts(c.ctx))(c.T) {
		names = append(names, r.Host)
	}
	return names
}

// hosts: reports come and go with the leases, and the process that takes over a name keeps its report.
func (c conformer) hosts() {
	one, two := must(c.store.Join(c.ctx, "edge1"))(c.T), must(c.store.Join(c.ctx, "edge2"))(c.T)
	for host, m := range map[string]fleet.Membership{"edge1": one, "edge2": two} {
		if err := m.Report(c.ctx, fleet.Report{Host: host, Conns: 7}); err != nil {
			c.Fatal(err)
		}
	}
	if got := c.names(); !slices.Equal(got, []string{"edge1", "edge2"}) {
		c.Errorf("hosts: %v", got)
	}
	successor := must(c.store.Join(c.ctx, "edge1"))(c.T)
	if err := successor.Report(c.ctx, fleet.Report{Host: "edge1", Conns: 8}); err != nil {
		c.Fatal(err)
	}
	for _, m := range []fleet.Membership{one, two} {
		if err := m.Close(c.ctx); err != nil {
			c.Error(err)
		}
		<-m.Lost()
	}
	if got := must(c.store.Hosts(c.ctx))(c.T); len(got) != 1 || got[0].Conns != 8 {
		c.Errorf("after the end of two leases: %+v", got)
	}
	if err := one.Report(c.ctx, fleet.Report{Host: "edge1"}); !errors.Is(err, fleet.ErrLeaseLost) {
		c.Errorf("a report without a lease: %v", err)
	}
	if err := successor.Close(c.ctx); err != nil {
		c.Error(err)
	}
}

// namesakes: of two hosts with one name the first keeps its report, until it goes.
func (c conformer) namesakes() {
	one, two := must(c.store.Join(c.ctx, "edge1"))(c.T), must(c.store.Join(c.ctx, "edge1"))(c.T)
	first, second := fleet.Report{Host: "edge1", Instance: "1", Place: "here"}, fleet.Report{Host: "edge1", Instance: "2", Place: "there"}
	if err := one.Report(c.ctx, first); err != nil {
		c.Fatal(err)
	}
	for _, lives := range []bool{false, false, true} { // not before the first host writes again
		taken := new(fleet.NameTakenError)
		if err := two.Report(c.ctx, second); !errors.As(err, &taken) || taken.Other.Instance != "1" || taken.Lives != lives {
			c.Errorf("a report of a second host: %v, want one that lives: %v", err, lives)
		}
		if list := must(c.store.Namesakes(c.ctx))(c.T); lives != (len(list) == 1) {
			c.Errorf("namesakes: %+v", list)
		}
		if first.Conns++; first.Conns == 2 {
			if err := one.Report(c.ctx, first); err != nil {
				c.Errorf("a report of the first host: %v", err)
			}
		}
	}
	hosts, others := must(c.store.Hosts(c.ctx))(c.T), must(c.store.Namesakes(c.ctx))(c.T)
	if len(hosts) != 1 || hosts[0].Instance != "1" || len(others) != 1 || others[0].Instance != "2" {
		c.Errorf("hosts %+v, namesakes %+v", hosts, others)
	}
	if err := one.Close(c.ctx); err != nil {
		c.Fatal(err)
	}
	if err := two.Report(c.ctx, second); err != nil {
		c.Errorf("a report after the first host has left: %v", err)
	}
	hosts, others = must(c.store.Hosts(c.ctx))(c.T), must(c.store.Namesakes(c.ctx))(c.T)
	if len(hosts) != 1 || hosts[0].Instance != "2" || len(others) > 0 {
		c.Errorf("after the first has left: hosts %+v, namesakes %+v", hosts, others)
	}
	if err := two.Close(c.ctx); err != nil {
		c.Error(err)
	}
}

// withdrawals: when many hosts ask at once, the store refuses enough of them for the least number to go on announcing.
func (c conformer) withdrawals() {
	const hosts, least = 6, 2
	granted := make(chan bool, hosts)
	var members []fleet.Membership
	for n := range hosts {
		host := "edge" + string(rune('0'+n))
		m := must(c.store.Join(c.ctx, host))(c.T)
		members = append(members, m)
		if err := m.Report(c.ctx, fleet.Report{Host: host, Announcing: true}); err != nil {
			c.Fatal(err)
		}
	}
	for _, m := range members {
		go func() { // ends with the answer
			ok, err := m.MayWithdraw(c.ctx, least)
			if err != nil {
				c.Error(err)
			}
			granted <- ok
		}()
	}
	n := 0
	for range hosts {
		if <-granted {
			n++
		}
	}
	if n > hosts-least {
		c.Errorf("%d of %d hosts may withdraw, and at least %d have to stay", n, hosts, least)
	}
	for _, m := range members { // those that had to try too often
		if ok, _ := m.MayWithdraw(c.ctx, hosts); ok {
			c.Error("a host may withdraw without enough others")
		}
		if err := m.Announces(c.ctx); err != nil {
			c.Error(err)
		}
	}
	if ok, err := members[0].MayWithdraw(c.ctx, hosts-1); !ok || err != nil {
		c.Errorf("all others announce again: %v, %v", ok, err)
	}
	for _, m := range members {
		_ = m.Close(c.ctx)
	}
}
