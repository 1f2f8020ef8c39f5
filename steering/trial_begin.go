package steering

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/services"
	"anyport/steering/table"
)

// BeginTrial puts table into service for a share of the clients, beside the one in service, until EndTrial.
// On error nothing has changed.
//
// Both tables have their local routes. At a prefix that only the other table has, a client is refused over TCP; its
// datagrams reach user space, which knows the live flows.
func (s *Steering) BeginTrial(cfg *config.Config, table *table.Table, share Share) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkReplaceable(table); err != nil {
		return err
	}
	if err := s.addPrefixesOf(cfg, table); err != nil {
		return err
	}
	t, err := s.fillTrial(cfg, table, share)
	if err == nil {
		err = s.serveTrial(t)
	}
	if err != nil {
		s.trial = nil
		s.services.Keep(services.Targets(s.config))
		return errors.Join(err, s.eraseIdle(), s.dropRetired(func(until time.Time) bool { return until.Equal(untilTrialEnds) }))
	}
	if err := s.updateAnnouncement(); err != nil {
		s.log.Warn("other instances of anyport do not know what this one serves", "error", err)
	}
	if wantsFastPath(cfg) {
		s.serveFastPath(cfg)
	}
	return s.fast.Raise()
}

// addPrefixesOf has the table in service refuse what only other serves, and these prefixes become local.
func (s *Steering) addPrefixesOf(cfg *config.Config, other *table.Table) error {
	wanted, err := s.routes.Wanted(cfg, other)
	if err != nil {
		return err
	}
	added := map[netip.Prefix]time.Time{}
	for p := range wanted.All() {
		if !s.routes.Added().LookupPrefix(p) {
			added[p] = untilTrialEnds
		}
	}
	if len(added) == 0 {
		return nil
	}
	return s.replaceBefore(other, added, s.config, s.requested)
}

// fillTrial fills the idle half.
func (s *Steering) fillTrial(cfg *config.Config, asked *table.Table, share Share) (*trial, error) {
	if err := s.eraseIdle(); err != nil {
		return nil, err
	}
	wanted, err := s.routes.Wanted(cfg, asked)
	if err != nil {
		return nil, err
	}
	t := &trial{share: share, config: cfg, requested: asked, removed: map[netip.Prefix]time.Time{}, added: map[netip.Prefix]time.Time{}}
	for p := range s.routes.Added().All() {
		if !wanted.LookupPrefix(p) {
			t.removed[p] = untilTrialEnds
		}
	}
	maps.Copy(t.added, s.retired)
	maps.DeleteFunc(t.added, func(_ netip.Prefix, until time.Time) bool { return !until.Equal(untilTrialEnds) })
	t.table = asked.WithRetired(s.table, t.removed)
	t.numbers = bpfmaps.NumberRoutes(s.numbers, t.table)
	t.validUntil = kernelHours(cfg, time.Now)
	s.idleTable = t.table
	if err := s.prepare(t.table, t.numbers, t.validUntil); err != nil {
		return nil, fmt.Errorf("fill the steering tables: %w", err)
	}
	if err := s.installReturnPath(cfg); err != nil {
		return nil, err
	}
	return t, s.services.Add(services.Targets(cfg), time.Now())
}

// serveTrial has the program choose between the two halves.
func (s *Steering) serveTrial(t *trial) error {
	if err := s.writeShare(t.share); err != nil {
		return err
	}
	s.trial, s.idleTable = t, nil
	if err := s.putServing(s.generation); err != nil {
		s.trial, s.idleTable = nil, t.table
		return fmt.Errorf("have a table serve beside another: %w", err)
	}
	return nil
}
