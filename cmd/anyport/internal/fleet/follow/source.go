package follow

import (
	"context"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/access"
	"anyport/cmd/anyport/internal/fleet/etcd"
	"anyport/cmd/anyport/internal/fleet/web"
	"anyport/config"
)

// Source is one contact with where tables come from. After an error a new one is opened.
type Source interface {
	// Watch calls see with what the host ought to serve: at once, after each change, and every few
	// seconds as a sign of the contact. It returns when ctx is done or the contact is lost.
	Watch(ctx context.Context, host string, see func(Wanted)) error

	// Text fetches a table that Watch has named.
	Text(ctx context.Context, table fleet.Hash) ([]byte, error)

	// Join makes the host one that reports; nil if there are no reports here.
	Join(ctx context.Context, host string) (fleet.Membership, error)

	Close() error
}

// Wanted is the table that a host ought to serve.
type Wanted struct {
	Table  fleet.Hash // "": there is none yet
	Serial int64      // another one with each change of the pointer, also of one that does not matter here
	Trial  bool       // only some hosts take it, so far
}

// Open opens the source of a file's [fleet], whose credentials it reads. It may wait for an etcd.
func Open(f config.Fleet) (Source, error) {
	a, err := access.Read(f)
	if err != nil {
		return nil, err
	}
	if !f.IsEtcd() {
		return &document{Source: web.Open(f.Source, a)}, nil
	}
	store, err := etcd.Open(f.Source, a)
	if err != nil {
		return nil, err
	}
	return Stored(store), nil
}

// stored is a source with a pointer and reports.
type stored struct{ fleet.Store }

// Stored makes a source of a store.
func Stored(s fleet.Store) Source { return stored{s} }

// Watch looks at what the state means for one host.
func (s stored) Watch(ctx context.Context, host string, see func(Wanted)) error {
	return s.Store.Watch(ctx, func(state fleet.State) {
		see(Wanted{state.Table(host), state.Pointer.Serial, state.OnTrial(host)})
	})
}

// Text reads the table.
func (s stored) Text(ctx context.Context, table fleet.Hash) ([]byte, error) {
	return s.Table(ctx, table)
}

// document is a source that has nothing but the newest table. Its methods are called by one goroutine.
type document struct {
	*web.Source
	text   []byte
	table  fleet.Hash
	serial int64
}

// Watch counts the changes, as a pointer's serial does.
func (d *document) Watch(ctx context.Context, _ string, see func(Wanted)) error {
	return d.Source.Watch(ctx, func(text []byte) {
		if table := fleet.HashOf(text); table != d.table {
			d.text, d.table = text, table
			d.serial++
		}
		see(Wanted{Table: d.table, Serial: d.serial})
	})
}

// Text is what Watch has seen last.
func (d *document) Text(_ context.Context, table fleet.Hash) ([]byte, error) {
	if table != d.table {
		return nil, fleet.ErrNoTable
	}
	return d.text, nil
}

// Join returns none: a document takes no reports.
func (d *document) Join(context.Context, string) (fleet.Membership, error) { return nil, nil }
