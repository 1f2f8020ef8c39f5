package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// back ends the trial, waits for the hosts to leave it, and returns the error of the push. It works
// after an interrupt, too. Where the pointer is not this push's any more it touches nothing: the trial is over then,
// or somebody has chosen another table.
func (p *push) back(ctx context.Context, why error) error {
	interrupted := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx)
	stage := p.stage.prefix()
	if interrupted && !errors.As(why, new(failure)) {
		why = errInterrupted
	}
	if errors.Is(why, fleet.ErrChanged) || errors.Is(why, errLost) {
		return fmt.Errorf("%s%w\n  the hosts go back to table %s by themselves, unless somebody else has given them another one: see anyport fleet",
			stage, why, p.pointer.Table.Short())
	}
	if errors.Is(why, fleet.ErrFull) { // it would not take the table before either
		return fmt.Errorf("%s%w\n  this push ends its lease now, and the hosts go back to table %s then: see anyport fleet", stage, why, p.pointer.Table.Short())
	}
	undo, cancel := context.WithTimeout(ctx, undoTime)
	defer cancel()
	if done, _ := p.hasMoved(undo, p.asked); done && p.pointer.Table == p.table {
		p.Say(Event{Event: Done, Table: p.table, Hosts: p.hosts})
		return nil
	}
	next := p.pointer
	next.Trial = nil
	if err := p.move(undo, next); err != nil {
		return fmt.Errorf("%s%w\n  the pointer could not be moved back: %w\n  the lease of this push ends within seconds, and the hosts go back to table %s then: see anyport fleet",
			stage, why, err, p.pointer.Table.Short())
	}
	p.say(Event{Event: BackTo, Table: p.pointer.Table, Why: why.Error()})
	err := fmt.Errorf("%s%w\n  all hosts are back on table %s", stage, why, p.pointer.Table.Short())
	if remain := p.waitForReturn(ctx); len(remain) > 0 {
		p.say(Event{Event: Remains, Table: p.pointer.Table, Hosts: remain})
		err = fmt.Errorf("%s%w\n  the pointer names table %s again, but %s did not report it within %v: see anyport fleet",
			stage, why, p.pointer.Table.Short(), listed(remain), returnTime)
	}
	var f failure
	if errors.As(why, &f) && f.cure != "" {
		err = fmt.Errorf("%w\n  %s", err, f.cure)
	}
	return err
}

// waitForReturn waits until the hosts that have served the table serve the one before, and returns those that do
// not. A host that has stopped, or serves its first table, has nothing to return to.
func (p *push) waitForReturn(ctx context.Context) (remain []string) {
	if p.pointer.Table == "" {
		return nil
	}
	return p.waitFor(ctx, p.serving, returnTime, p.say)
}

// waitFor waits until hosts report the pointer's table, and returns those that do not.
func (p *push) waitFor(ctx context.Context, hosts []string, patience time.Duration, say func(Event)) (remain []string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for remain = slices.Clone(hosts); len(remain) > 0; {
		if reports, err := p.Store.Hosts(ctx); err == nil {
			by := byHost(reports)
			var returned []string
			remain = slices.DeleteFunc(remain, func(host string) bool {
				r, there := by[host]
				if there && r.Table == p.pointer.Table {
					returned = append(returned, host)
				}
				return !there || r.Table == p.pointer.Table
			})
			if len(returned) > 0 {
				say(Event{Event: Returns, Hosts: returned, Table: p.pointer.Table})
			}
		}
		select {
		case <-ctx.Done():
			return remain
		case <-time.After(p.Look):
		}
	}
	return nil
}

// Back brings the fleet to the table before, at once. If a push runs, it ends that one and
// leaves the table as it is: who types it in an emergency need not know which of the two is the fault. It
// takes no stages, since the table has served before.
func Back(ctx context.Context, o Options) error {
	if o.Look == 0 {
		o.Look = lookTime
	}
	state, err := o.Store.State(ctx)
	if err != nil {
		return err
	}
	if state.Push != nil {
		before, by := state.Pointer.Table, state.Push.By
		if state, err = endOther(ctx, o); err != nil {
			return err
		}
		if state.Pointer.Table == before {
			return leaveTable(ctx, o, state.Pointer, by)
		} // else that push has made its table current meanwhile
	}
	p := &push{Options: o}
	if p.table, err = previous(ctx, o.Store, state.Pointer); err != nil {
		return err
	}
	if p.session, err = o.Store.BeginPush(ctx, fleet.Push{By: o.By, Began: time.Now(), Table: p.table}); err != nil {
		return err
	}
	defer p.close()
	next := state.Pointer
	next.Table, next.Previous, next.Trial = p.table, state.Pointer.Table, nil
	p.pointer = state.Pointer
	if err := p.move(ctx, next); err != nil {
		return err
	}
	o.Say(Event{Event: BackTo, Table: p.table, Why: "from " + next.Previous.Short()})
	return p.checkReturned(ctx)
}

// endOther ends a push that runs, wherever that is, and returns the state afterwards.
func endOther(ctx context.Context, o Options) (fleet.State, error) {
	if err := o.Store.EndPush(ctx); err != nil {
		return fleet.State{}, err
	}
	return o.Store.State(ctx)
}

// leaveTable waits for the hosts to go back after the end of another push.
func leaveTable(ctx context.Context, o Options, pointer fleet.Pointer, by string) error {
	p := &push{Options: o, pointer: pointer}
	o.Say(Event{Event: BackTo, Table: pointer.Table, Why: "the push of " + by + " is over"})
	return p.checkReturned(ctx)
}

// previous is the table to go back to, which must still be stored.
func previous(ctx context.Context, store fleet.Store, pointer fleet.Pointer) (fleet.Hash, error) {
	if pointer.Previous == "" {
		return "", errors.New("there is no table before this one: push the file that you want")
	}
	tables, err := store.Tables(ctx)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(tables, func(m fleet.Manifest) bool { return m.Table == pointer.Previous }) {
		return "", fmt.Errorf("table %s: %w", pointer.Previous.Short(), fleet.ErrNoTable)
	}
	return pointer.Previous, nil
}

// checkReturned waits for all hosts.
func (p *push) checkReturned(ctx context.Context) error {
	reports, err := p.Store.Hosts(ctx)
	if err != nil {
		return err
	}
	var hosts []string
	for _, r := range reports {
		hosts = append(hosts, r.Host)
	}
	if remain := p.waitFor(ctx, hosts, takeTime, p.Say); len(remain) > 0 {
		return fmt.Errorf("%s did not report table %s within %v: see anyport fleet", listed(remain), p.pointer.Table.Short(), takeTime)
	}
	p.Say(Event{Event: Done, Table: p.pointer.Table, Hosts: hosts})
	return nil
}
