package daemon

import (
	"context"
	"errors"
	"testing"
)

// TestDecide shows that a decision is taken by who runs it, and that nobody waits for
// one who is gone.
func TestDecide(t *testing.T) {
	d := &daemon{decisions: make(chan func())}
	go func() { (<-d.decisions)() }() // ended by the decision below
	why := errors.New("why")
	if err := d.decide(t.Context(), func() error { return why }); err != why {
		t.Errorf("error %v, want that of the decision", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.decide(gone, func() error { panic("nobody decides") }); err != context.Canceled {
		t.Errorf("error %v when nobody decides", err)
	}
}
