package push

import (
	"context"
	"errors"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// move puts next in place of the pointer. If the store does not answer, nobody knows whether it has done so:
// then the pointer is read again, and the move is tried again where it was not done. A store that is full answers.
func (p *push) move(ctx context.Context, next fleet.Pointer) error {
	p.asked = next
	for {
		try, cancel := context.WithTimeout(ctx, answerTime)
		moved, err := p.session.Swap(try, p.pointer, next)
		cancel()
		if err == nil {
			p.pointer = moved
			return nil
		}
		if done, known := p.hasMoved(ctx, next); done {
			return nil
		} else if known || errors.Is(err, fleet.ErrChanged) || errors.Is(err, fleet.ErrFull) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-p.session.Lost():
			return errLost
		case <-time.After(p.Look):
		}
	}
}

// hasMoved reads whether the pointer is next, which then is the one that stands. known reports that somebody
// else has moved it.
func (p *push) hasMoved(ctx context.Context, next fleet.Pointer) (done, known bool) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	state, err := p.Store.State(ctx)
	if err != nil || state.Pointer.Revision == p.pointer.Revision {
		return false, false
	}
	if !same(state.Pointer, next) {
		return false, true
	}
	p.pointer = state.Pointer
	return true, true
}

// same reports whether two pointers say the same to each host.
func same(a, b fleet.Pointer) bool {
	if a.Table != b.Table || a.Previous != b.Previous || (a.Trial == nil) != (b.Trial == nil) {
		return false
	}
	return a.Trial == nil || a.Trial.Table == b.Trial.Table && a.Trial.Lease == b.Trial.Lease && slices.Equal(a.Trial.Hosts, b.Trial.Hosts)
}
