package push

import (
	"context"
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// finishing is a store in which the push that runs makes its table current just before somebody ends it.
type finishing struct {
	fleet.Store
	finish func()
}

// EndPush is fleet.Store's.
func (s finishing) EndPush(ctx context.Context) error {
	s.finish()
	return s.Store.EndPush(ctx)
}

// TestBackAfterTheEnd: a push that comes to its end before it can be ended has its table taken back, too.
func TestBackAfterTheEnd(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	ended := f.hold(t.Context())
	o := f.options("", "100%")
	o.Store = finishing{f.Store, func() {
		f.Force(func(p *fleet.Pointer) { p.Previous, p.Table, p.Trial = p.Table, p.Trial.Table, nil })
		<-ended // which sees that the pointer has another revision
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := Back(ctx, o); err != nil {
		t.Error(err)
	}
	if p := f.pointer(); p.Table != fleet.HashOf([]byte("old")) || p.Previous != fleet.HashOf([]byte("new")) || f.serving("old") != 2 {
		t.Errorf("%+v", p)
	}
}

// late is a store in which an interrupt comes while the pointer moves, and the answer is lost.
type late struct {
	fleet.Store
	trial     bool // it moves to a trial; else for the last time
	interrupt func()
}

// BeginPush is fleet.Store's.
func (s late) BeginPush(ctx context.Context, push fleet.Push) (fleet.PushSession, error) {
	session, err := s.Store.BeginPush(ctx, push)
	return lateSession{session, s}, err
}

// State is fleet.Store's. As any question over a network it fails after the interrupt.
func (s late) State(ctx context.Context) (fleet.State, error) {
	if err := ctx.Err(); err != nil {
		return fleet.State{}, err
	}
	return s.Store.State(ctx)
}

type lateSession struct {
	fleet.PushSession
	late late
}

// Swap is fleet.PushSession's.
func (s lateSession) Swap(ctx context.Context, old, next fleet.Pointer) (fleet.Pointer, error) {
	moved, err := s.PushSession.Swap(ctx, old, next)
	if err == nil && (next.Trial != nil) == s.late.trial {
		s.late.interrupt()
		return fleet.Pointer{}, context.Canceled
	}
	return moved, err
}

// TestRunInterruptedLate: an interrupt after the pointer has moved for all hosts does not have the push say that they
// go back.
func TestRunInterruptedLate(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	ctx, interrupt := context.WithCancel(t.Context())
	o := f.options("new", "100%")
	o.Store = late{f.Store, false, interrupt}
	if err := Run(ctx, o); err != nil {
		t.Errorf("the pointer names %s, and the push says: %v", f.pointer().Table.Short(), err)
	}
	if f.pointer().Table != fleet.HashOf([]byte("new")) {
		t.Errorf("%+v", f.pointer())
	}
}

// TestRunInterruptedBetween: after an interrupt of which nobody knows whether it came before a stage began, the push
// finds out, and brings the hosts back.
func TestRunInterruptedBetween(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, good)
	ctx, interrupt := context.WithCancel(t.Context())
	o := f.options("new", "100%")
	o.Store = late{f.Store, true, interrupt}
	if err := Run(ctx, o); err == nil || !strings.Contains(err.Error(), "was interrupted\n  all hosts are back on table") {
		t.Error(err)
	}
	if p := f.pointer(); p.Trial != nil || p.Table != fleet.HashOf([]byte("old")) {
		t.Errorf("%+v", p)
	}
}
