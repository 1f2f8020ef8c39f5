package push

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// Options say what to push, and how.
type Options struct {
	Store  fleet.Store
	Text   []byte // of the table
	By     string // user@host
	Stages []Stage
	Hold   time.Duration // of each stage, once all of its hosts serve the table
	Say    func(Event)

	Look time.Duration // between two looks at the reports; 0: a second
}

// The times of a push.
const (
	lookTime   = time.Second
	answerTime = 5 * time.Second  // of one question to the store
	undoTime   = 15 * time.Second // to move the pointer back, with a store that comes and goes
	returnTime = 30 * time.Second // for hosts to serve the table before again
	sayTime    = time.Minute      // between two lines of a stage that holds
)

// push is a push that runs. Its goroutine owns it. The pointer is the only thing that it changes after the
// table is stored, and each change is a transaction that compares: two pushes, or a push whose lease has ended
// without its knowledge, cannot undo each other's work.
type push struct {
	Options
	table   fleet.Hash
	session fleet.PushSession
	pointer fleet.Pointer           // as it stands in the store, unless somebody else has moved it
	asked   fleet.Pointer           // that the last move was to; whether it was done may not be known
	first   map[string]fleet.Report // of the hosts when the push began
	hosts   []string                // that take the table
	serving []string                // and have reported it
	stage   Event                   // names the stage in events
	away    bool                    // the store has not answered the last question
}

// Run stores a table and puts it into service, stage by stage. An error says why the fleet is back on the
// table before, or that it could not be brought back. When ctx ends meanwhile, it is brought back, too.
func Run(ctx context.Context, o Options) error {
	p, err := begin(ctx, o)
	if err != nil {
		return err
	}
	defer p.close()
	if p.pointer.Table == p.table {
		return p.alreadyCurrent(ctx)
	}
	reports, err := p.Store.Hosts(ctx)
	if err != nil {
		return err
	}
	if len(reports) == 0 {
		return p.withoutHosts(ctx)
	}
	p.first = byHost(reports)
	for i, stage := range p.Stages {
		if err := p.try(ctx, i, stage); err != nil {
			return p.back(ctx, err)
		}
	}
	if err := p.finish(ctx); err != nil {
		return p.back(ctx, err)
	}
	return nil
}

// begin stores the table, as the only push that runs. The lease comes first: another push would delete a table that
// nobody names yet.
func begin(ctx context.Context, o Options) (*push, error) {
	if o.Look == 0 {
		o.Look = lookTime
	}
	p := &push{Options: o, table: fleet.HashOf(o.Text)}
	var err error
	if p.session, err = o.Store.BeginPush(ctx, fleet.Push{By: o.By, Began: time.Now(), Table: p.table}); err != nil {
		return nil, err
	}
	if _, err = o.Store.PutTable(ctx, o.Text, o.By); err == nil {
		var state fleet.State
		state, err = o.Store.State(ctx)
		p.pointer = state.Pointer
	}
	if err != nil {
		p.close()
		return nil, err
	}
	p.Say(Event{Event: Stored, Table: p.table})
	return p, nil
}

// close ends the lease, also after an interrupt.
func (p *push) close() {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	_ = p.session.Close(ctx) // the lease ends without it, only later
}

// alreadyCurrent removes a trial that a push has left which was killed.
func (p *push) alreadyCurrent(ctx context.Context) error {
	if p.pointer.Trial != nil {
		next := p.pointer
		next.Trial = nil
		if err := p.move(ctx, next); err != nil {
			return err
		}
	}
	p.Say(Event{Event: Done, Table: p.table, Why: "it was already"})
	return nil
}

// withoutHosts makes the first table current before any host is there. Later, a fleet without a report is more
// likely one that cannot reach its source.
func (p *push) withoutHosts(ctx context.Context) error {
	if p.pointer.Table != "" {
		return errors.New("no host reports to this source, so the table cannot be tried anywhere\n" +
			"  see anyport status on the hosts, and push again when anyport fleet shows them")
	}
	next := p.pointer
	next.Table, next.Trial = p.table, nil
	if err := p.move(ctx, next); err != nil {
		return err
	}
	p.Say(Event{Event: Done, Table: p.table, Why: "no host reports yet, each takes it when it starts"})
	return nil
}

// try gives the table to the hosts of one stage, and returns when they have held it. The last stage is a trial too: all
// hosts go back if the push dies in it, and the table becomes current only afterwards.
func (p *push) try(ctx context.Context, number int, stage Stage) error {
	reports, err := p.Store.Hosts(ctx)
	if err != nil {
		return err
	}
	hosts, err := choose(p.table, p.hosts, reports, stage)
	if err != nil {
		return err
	}
	if len(hosts) == len(p.hosts) {
		return nil // the stage before had them all
	}
	p.stage = Event{Stage: number + 1, Stages: len(p.Stages), Part: stage.Text}
	now := time.Now()
	t := newTrial(p.table, hosts, reports, p.Hold, now)
	t.reference = newReference(p.first, reports, p.hosts, p.table)
	next := p.pointer
	next.Trial = &fleet.Trial{Table: p.table, Hosts: hosts, Stage: stage.Text, Began: now.UTC(), Lease: p.session.Lease()}
	p.say(Event{Event: Begins, Hosts: without(hosts, p.hosts)})
	p.hosts = hosts
	if err := p.move(ctx, next); err != nil {
		return err
	}
	t.serial = p.pointer.Serial
	return p.watch(ctx, t)
}

// finish makes the table that of all hosts, and deletes what nobody needs any more. For the hosts of the last stage
// nothing changes; those that came meanwhile take it now. An interrupt comes too late: nobody would know whether the
// pointer has moved.
func (p *push) finish(ctx context.Context) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	ctx = context.WithoutCancel(ctx)
	moving, cancel := context.WithTimeout(ctx, undoTime)
	defer cancel()
	next := p.pointer
	next.Table, next.Previous, next.Trial = p.table, p.pointer.Table, nil
	if err := p.move(moving, next); err != nil {
		return err
	}
	p.Say(Event{Event: Done, Table: p.table, Hosts: p.hosts})
	prune(ctx, p.Store, p.pointer)
	return nil
}

// say says an event, with the stage that it belongs to.
func (p *push) say(e Event) {
	e.Table = cmp.Or(e.Table, p.table)
	e.Stage, e.Stages, e.Part = p.stage.Stage, p.stage.Stages, p.stage.Part
	p.Say(e)
}

// byHost finds reports by name.
func byHost(reports []fleet.Report) map[string]fleet.Report {
	by := map[string]fleet.Report{}
	for _, r := range reports {
		by[r.Host] = r
	}
	return by
}

// without returns those of all that are not in some.
func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}
