package push

import (
	"context"
	"errors"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// watch looks at the hosts until the stage has passed or failed.
func (p *push) watch(ctx context.Context, t *trial) error {
	ticks := time.NewTicker(p.Look)
	defer ticks.Stop()
	said := time.Now()
	for {
		select {
		case <-ctx.Done():
			return errInterrupted
		case <-p.session.Lost():
			return errLost
		case <-ticks.C:
		}
		reports, err := p.look(ctx)
		if err != nil {
			return err
		}
		if reports == nil {
			continue
		}
		now := time.Now()
		v := t.look(reports, now)
		if taken := without(v.taken, p.serving); len(taken) > 0 { // those of the stage before have said so
			p.serving = append(p.serving, taken...)
			p.say(Event{Event: Serves, Hosts: taken})
		}
		switch {
		case v.outcome == failed:
			return v.failure
		case v.outcome == passed:
			p.say(Event{Event: Held, Tried: &v.tried, Others: &v.others})
			return nil
		case v.outcome == holding && now.Sub(said) >= sayTime:
			said = now
			p.say(Event{Event: Holds, Left: max(0, t.hold-now.Sub(t.held)).Seconds(), Tried: &v.tried, Others: &v.others})
		}
	}
}

// Why a push ends whatever the hosts report.
var (
	errLost        = errors.New("the contact with the source was lost for too long")
	errInterrupted = errors.New("the push was interrupted")
)

// look reads the reports, and checks that the pointer is still ours. It returns nil if the store does not
// answer: as long as the lease holds, nothing is lost.
func (p *push) look(ctx context.Context) ([]fleet.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	state, err := p.Store.State(ctx)
	if err == nil && state.Pointer.Revision != p.pointer.Revision {
		return nil, fleet.ErrChanged
	}
	var reports []fleet.Report
	if err == nil {
		reports, err = p.Store.Hosts(ctx)
	}
	if err != nil {
		if !p.away && ctx.Err() == nil {
			p.say(Event{Event: Away, Why: err.Error()})
		}
		p.away = true
		return nil, nil
	}
	p.away = false
	if reports == nil {
		reports = []fleet.Report{}
	}
	return reports, nil
}
