package fleettest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// ErrAway is what every call returns while the store is away.
var ErrAway = errors.New("the store is away")

// Store is a fleet.Store in memory.
type Store struct {
	mu        sync.Mutex
	away      bool
	full      bool
	revision  int64
	lastLease int64
	leases    map[int64]chan struct{} // closed when it ends
	state     fleet.State
	changed   chan struct{} // closed at the next change of state or away
	texts     map[fleet.Hash][]byte
	manifests []fleet.Manifest // the newest first
	reports   map[string]held[fleet.Report]
	withdrawn map[string]int64       // leases, by host
	namesakes map[int64]fleet.Report // by lease
	others    map[int64]fleet.Report // the first report of another host that one has met under its name, by lease
}

// held is a value that goes with a lease.
type held[T any] struct {
	value T
	lease int64
}

var _ fleet.Store = (*Store)(nil)

// New makes an empty store.
func New() *Store {
	return &Store{
		leases: map[int64]chan struct{}{}, changed: make(chan struct{}),
		texts: map[fleet.Hash][]byte{}, reports: map[string]held[fleet.Report]{}, withdrawn: map[string]int64{}, namesakes: map[int64]fleet.Report{}, others: map[int64]fleet.Report{},
	}
}

// SetAway lets every call fail, or no longer. Leases stay.
func (s *Store) SetAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
	s.notify()
}

// SetFull lets the store take nothing more, or take it again. It can be read, and leases stay.
func (s *Store) SetFull(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

// Expire ends a lease, as that of a process that was killed, with all that it holds.
func (s *Store) Expire(lease int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(lease)
}

// Force changes the pointer, as somebody would who asks no push.
func (s *Store) Force(change func(*fleet.Pointer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	s.state.Pointer.Serial++
	s.state.Pointer.Revision = s.revision
	change(&s.state.Pointer)
	s.notify()
}

// PutReport writes the report of a host that never ends.
func (s *Store) PutReport(r fleet.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports[r.Host] = held[fleet.Report]{r, 0}
}

// State implements fleet.Store, as the methods below do.
func (s *Store) State(context.Context) (fleet.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copyState(), s.reachable()
}

// Watch implements fleet.Store.
func (s *Store) Watch(ctx context.Context, see func(fleet.State)) error {
	for {
		s.mu.Lock()
		state, changed, err := s.copyState(), s.changed, s.reachable()
		s.mu.Unlock()
		if err != nil {
			return err
		}
		see(state)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Table implements fleet.Store.
func (s *Store) Table(_ context.Context, table fleet.Hash) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.texts[table]
	if err := s.reachable(); err != nil || ok {
		return bytes.Clone(text), err
	}
	return nil, fleet.ErrNoTable
}

// Tables implements fleet.Store.
func (s *Store) Tables(context.Context) ([]fleet.Manifest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.manifests), s.reachable()
}

// Hosts implements fleet.Store.
func (s *Store) Hosts(context.Context) ([]fleet.Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var reports []fleet.Report
	for _, r := range s.reports {
		reports = append(reports, r.value)
	}
	slices.SortFunc(reports, func(a, b fleet.Report) int { return cmp.Compare(a.Host, b.Host) })
	return reports, s.reachable()
}

// Namesakes implements fleet.Store.
func (s *Store) Namesakes(context.Context) ([]fleet.Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.namesakes)), s.reachable()
}

// PutTable implements fleet.Store.
func (s *Store) PutTable(_ context.Context, text []byte, by string) (fleet.Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.takes(); err != nil {
		return "", err
	}
	table := fleet.HashOf(text)
	if _, ok := s.texts[table]; ok {
		return table, nil
	}
	m := fleet.Manifest{Table: table, Size: len(text), Created: time.Now(), By: by}
	for _, part := range fleet.Split(text, fleet.PartSize) {
		m.Parts = append(m.Parts, fleet.HashOf(part))
	}
	s.texts[table] = bytes.Clone(text)
	s.manifests = slices.Insert(s.manifests, 0, m)
	return table, nil
}

// DeleteTables implements fleet.Store.
func (s *Store) DeleteTables(_ context.Context, tables ...fleet.Hash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reachable(); err != nil {
		return err
	}
	for _, table := range tables {
		delete(s.texts, table)
	}
	s.manifests = slices.DeleteFunc(s.manifests, func(m fleet.Manifest) bool { return slices.Contains(tables, m.Table) })
	return nil
}

// Close implements fleet.Store.
func (s *Store) Close() error { return nil }

func (s *Store) reachable() error {
	if s.away {
		return ErrAway
	}
	return nil
}

// takes is reachable for what needs room.
func (s *Store) takes() error {
	if s.full && !s.away {
		return fleet.ErrFull
	}
	return s.reachable()
}

// notify wakes those who watch.
func (s *Store) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// copyState returns a state that the caller may change.
func (s *Store) copyState() fleet.State {
	state := s.state
	if t := state.Pointer.Trial; t != nil {
		trial := *t
		trial.Hosts = slices.Clone(t.Hosts)
		state.Pointer.Trial = &trial
	}
	if p := state.Push; p != nil {
		push := *p
		state.Push = &push
	}
	return state
}

// ExpireAll ends all leases.
func (s *Store) ExpireAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.leases {
		s.expire(id)
	}
}
