package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Store keeps the tables, the pointer and the reports of one fleet. Its methods may be called from
// several goroutines. They return when ctx is done at the latest.
type Store interface {
	// State reads the pointer and the push that runs, both at one moment.
	State(ctx context.Context) (State, error)

	// Watch calls see with the state at once, and again after each change, on the caller's goroutine.
	// It returns when ctx is done, or with an error when the contact is lost.
	Watch(ctx context.Context, see func(State)) error

	// Table reads a table's text, and checks it against its hash. ErrNoTable: it is not there.
	Table(ctx context.Context, table Hash) ([]byte, error)

	// Tables lists the stored tables, the newest first.
	Tables(ctx context.Context) ([]Manifest, error)

	// Hosts are the reports of all hosts that have contact, by name.
	Hosts(ctx context.Context) ([]Report, error)

	// Namesakes are the reports of hosts whose name another host has, which reports itself.
	Namesakes(ctx context.Context) ([]Report, error)

	// PutTable stores a table, its manifest last. It may be there already.
	PutTable(ctx context.Context, text []byte, by string) (Hash, error)

	// DeleteTables removes tables, and the parts that no other table has.
	DeleteTables(ctx context.Context, tables ...Hash) error

	// BeginPush makes the caller the push that runs: a *PushRunsError if there is another one.
	BeginPush(ctx context.Context, push Push) (PushSession, error)

	// EndPush ends the lease of the push that runs, whoever began it; its trial is over then.
	EndPush(ctx context.Context) error

	// Join makes the caller a host of the fleet, with a lease of its own.
	Join(ctx context.Context, host string) (Membership, error)

	Close() error
}

// PushSession is the right to move the pointer, held by a lease that is renewed until Close.
type PushSession interface {
	// Lease is what a Trial of this push names.
	Lease() int64

	// Swap replaces old, which was read from the store, by next, whose Serial it sets. It is
	// ErrChanged if the pointer is not old any more, or if this push has lost its lease.
	Swap(ctx context.Context, old, next Pointer) (Pointer, error)

	// Lost is closed when the lease has ended: a trial of this push is over then.
	Lost() <-chan struct{}

	// Close ends the lease, and with it a trial that still stands.
	Close(ctx context.Context) error
}

// Membership is a host's place in the fleet, held by a lease that is renewed until Close.
type Membership interface {
	// Report writes the host's report in place of that before. If there is one which it does not replace (see
	// Report.Replaces), that stays, and the error is a *NameTakenError. Once the other host has written again, this
	// report goes to the namesakes.
	Report(ctx context.Context, report Report) error

	// MayWithdraw notes that the host stops announcing, if at least minHosts others go on that have
	// not asked this themselves. Of two hosts that ask at once the second counts without the first.
	MayWithdraw(ctx context.Context, minHosts int) (bool, error)

	// Announces takes back what MayWithdraw has noted.
	Announces(ctx context.Context) error

	// Lost is closed when the lease has ended: the caller has to join again.
	Lost() <-chan struct{}

	// Close ends the lease: the report goes at once.
	Close(ctx context.Context) error
}

// The errors of a store that a caller acts on.
var (
	ErrNoTable   = errors.New("the table is not in the store: push it again")
	ErrFull      = errors.New("the store takes nothing more")
	ErrLeaseLost = errors.New("the lease in the store has ended")
	ErrChanged   = errors.New("another push has moved the pointer, or this one has lost its lease: see anyport fleet, and push again")
)

// NameTakenError says that another host reports under the name of this one.
type NameTakenError struct {
	Other Report
	Lives bool // it has written again meanwhile; else it may be that of a process which was killed
}

// Error names the other host, and the cure.
func (e *NameTakenError) Error() string {
	return fmt.Sprintf("%s, which runs since %s, reports under the name %q too: write another host = in [fleet] of one of them, and restart it",
		e.Other.Hostname, e.Other.Began.Format(time.RFC3339), e.Other.Host)
}

// PushRunsError says that another push runs.
type PushRunsError struct{ Push Push }

// Error names who runs it.
func (e *PushRunsError) Error() string {
	return fmt.Sprintf("a push of %s runs since %s: wait for its end, or stop it", e.Push.By, e.Push.Began.Format("15:04:05 MST"))
}
