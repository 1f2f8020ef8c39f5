package fleettest

import (
	"context"

	"anyport/cmd/anyport/internal/fleet"
)

// lease is a membership or a push of a Store.
type lease struct {
	store *Store
	id    int64
	host  string // of a membership
	lost  chan struct{}
}

// grant needs the mutex.
func (s *Store) grant() *lease {
	s.lastLease++
	l := &lease{store: s, id: s.lastLease, lost: make(chan struct{})}
	s.leases[l.id] = l.lost
	return l
}

// expire needs the mutex.
func (s *Store) expire(id int64) {
	lost, ok := s.leases[id]
	if !ok {
		return
	}
	delete(s.leases, id)
	delete(s.namesakes, id)
	delete(s.others, id)
	close(lost)
	for host, r := range s.reports {
		if r.lease == id {
			delete(s.reports, host)
		}
	}
	for host, l := range s.withdrawn {
		if l == id {
			delete(s.withdrawn, host)
		}
	}
	if s.state.Push != nil && s.state.Push.Lease == id {
		s.state.Push = nil
		s.notify()
	}
}

// BeginPush implements fleet.Store.
func (s *Store) BeginPush(_ context.Context, push fleet.Push) (fleet.PushSession, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.takes(); err != nil {
		return nil, err
	}
	if s.state.Push != nil {
		return nil, &fleet.PushRunsError{Push: *s.state.Push}
	}
	l := s.grant()
	push.Lease = l.id
	s.state.Push = &push
	s.notify()
	return pushSession{l}, nil
}

// EndPush implements fleet.Store.
func (s *Store) EndPush(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Push != nil {
		s.expire(s.state.Push.Lease)
	}
	return s.reachable()
}

// Join implements fleet.Store.
func (s *Store) Join(_ context.Context, host string) (fleet.Membership, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.takes(); err != nil {
		return nil, err
	}
	l := s.grant()
	l.host = host
	return membership{l}, nil
}

// Lost is closed by Expire and Close.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Close ends the lease.
func (l *lease) Close(context.Context) error {
	l.store.Expire(l.id)
	return nil
}

// alive needs the mutex.
func (l *lease) alive() error {
	if _, ok := l.store.leases[l.id]; !ok {
		return fleet.ErrLeaseLost
	}
	return l.store.reachable()
}

type pushSession struct{ *lease }

// Lease implements fleet.PushSession.
func (p pushSession) Lease() int64 { return p.id }

// Swap implements fleet.PushSession.
func (p pushSession) Swap(_ context.Context, old, next fleet.Pointer) (fleet.Pointer, error) {
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.takes(); err != nil {
		return fleet.Pointer{}, err
	}
	if p.alive() != nil || s.state.Pointer.Revision != old.Revision {
		return fleet.Pointer{}, fleet.ErrChanged
	}
	s.revision++
	next.Serial, next.Revision = old.Serial+1, s.revision
	s.state.Pointer = next
	s.state = s.copyState()
	s.notify()
	return next, nil
}

type membership struct{ *lease }

// Report implements fleet.Membership.
func (m membership) Report(_ context.Context, r fleet.Report) error {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if err := m.alive(); err != nil {
		return err
	}
	if err := m.store.takes(); err != nil {
		return err
	}
	if before, ok := m.store.reports[m.host]; ok && before.lease != m.id && !r.Replaces(before.value) {
		first, seen := m.store.others[m.id]
		if !seen {
			first = before.value
			m.store.others[m.id] = first
		}
		taken := &fleet.NameTakenError{Other: before.value, Lives: before.value != first}
		if taken.Lives {
			m.store.namesakes[m.id] = r
		}
		return taken
	}
	delete(m.store.others, m.id)
	delete(m.store.namesakes, m.id)
	m.store.reports[m.host] = held[fleet.Report]{r, m.id}
	return nil
}

// MayWithdraw implements fleet.Membership.
func (m membership) MayWithdraw(_ context.Context, minHosts int) (bool, error) {
	s := m.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := m.alive(); err != nil {
		return false, err
	}
	var reports []fleet.Report
	for _, r := range s.reports {
		reports = append(reports, r.value)
	}
	if !fleet.OthersSuffice(m.host, reports, func(host string) bool { _, ok := s.withdrawn[host]; return ok }, minHosts) {
		return false, nil
	}
	s.withdrawn[m.host] = m.id
	return true, nil
}

// Announces implements fleet.Membership.
func (m membership) Announces(context.Context) error {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	delete(m.store.withdrawn, m.host)
	return m.alive()
}
