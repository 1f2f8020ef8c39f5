package fleet

import (
	"testing"
	"time"
)

// age makes the last change of the members of each edge long past.
func (r *rig) age() {
	r.t.Helper()
	for _, e := range r.edges {
		e.fleet.mu.Lock()
		e.fleet.members.changed = time.Now().Add(-time.Hour)
		err := e.fleet.update(false)
		e.fleet.mu.Unlock()
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// settles reports whether the loops of an edge ask about any flow, with an idle timeout of a minute.
func (e *edge) settles() bool {
	v := e.fleet.view.Load()
	return v != nil && time.Since(v.changed) < settlingIdles*time.Minute
}

// TestDrainTold: all hosts ask about any flow soon after one of them has begun to drain. Another process of a host
// goes on for as long as the one before would have.
func TestDrainTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, 3)
	r.join(false)
	r.age()
	time.Sleep(2 * helloInterval) // greetings say nothing new
	for n, e := range r.edges {
		if e.settles() {
			t.Fatalf("edge %d asks about any flow", n+1)
		}
	}
	r.edges[0].fleet.Move()
	if !r.edges[0].settles() {
		t.Error("who drains does not ask itself")
	}
	for _, e := range r.edges[1:] {
		r.eventually("a peer asks about any flow", e.settles)
	}
	changed := r.edges[1].fleet.Changed()
	r.age()
	r.edges[1].fleet.Remember(changed)
	if got := r.edges[1].fleet.Changed() - changed; got.Abs() > sameGreeted {
		t.Errorf("another process takes the change for %v later", got)
	}
	var none *Fleet
	none.Move()
	none.Remember(changed)
	if none.Changed() != 0 {
		t.Error("without a fleet the members have changed")
	}
}
