package steering

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/services"
	"anyport/steering/table"
)

// trial is a table that serves some clients from the half of the maps that is otherwise idle. Each of the two halves has
// the prefixes of both tables: what only the other one serves is there as if it were retired. So no packet to a
// prefix that one of them serves reaches the host's own listeners, whenever the trial ends.
type trial struct {
	share      Share
	config     *config.Config
	requested  *table.Table
	table      *table.Table // requested, with the prefixes that only the other table has
	numbers    map[string]uint32
	validUntil map[string]uint64
	removed    map[netip.Prefix]time.Time // prefixes that only the table before has; the times are untilTrialEnds
	added      map[netip.Prefix]time.Time // prefixes that only this one has
}

var errOnTrial = errors.New("a table or a process is on trial")

// untilTrialEnds is the end of what stays local until the trial has ended.
var untilTrialEnds = time.Unix(1<<40, 0)

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

// writeShare writes which clients are on trial, and clears the counters. The program must see the share before it chooses by
// it: hence the grace period.
func (s *Steering) writeShare(share Share) error {
	for side := range uint32(2) {
		if err := clearVerdicts(s.objects.TrialCounts, side); err != nil {
			return fmt.Errorf("clear the counters of a trial: %w", err)
		}
	}
	if err := s.putShare(share); err != nil {
		return err
	}
	if err := s.loaded.GracePeriod.Wait(); err != nil {
		return fmt.Errorf("wait for a grace period: %w", err)
	}
	return nil
}

// putShare writes which clients are of a share. During a trial only Of32 may differ from what is there: the program
// reads the two words one after the other.
func (s *Steering) putShare(share Share) error {
	if err := s.objects.Trial.Put(uint32(0), bpf.SteerTrial{Seed: share.Seed, Share: share.Of32}); err != nil {
		return fmt.Errorf("write the share of a trial: %w", err)
	}
	return nil
}

// SetShare has the table on trial serve another share of the clients, which [Share.WithPercent] has made of the one before.
// On error nothing has changed.
func (s *Steering) SetShare(share Share) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.isClosed() || s.trial == nil:
		return errors.New("no table is on trial")
	case share.Seed != s.trial.share.Seed:
		return errors.New("another share of a trial needs the seed of the one before")
	}
	if err := s.putShare(share); err != nil {
		return err
	}
	s.trial.share = share
	return nil
}

// EndTrial ends the trial: the table on trial serves all clients from now on, or if next is false the one before.
// Prefixes that this table does not have are retired.
func (s *Steering) EndTrial(next bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.trial
	if s.isClosed() || t == nil {
		return errors.New("no table is on trial")
	}
	s.trial = nil
	if next {
		if err := s.flip(s.generation + 1); err != nil {
			s.trial = t
			return errors.Join(err, s.putServing(s.generation))
		}
		s.keepTrial(t)
	} else {
		if err := s.putServing(s.generation); err != nil {
			s.trial = t
			return fmt.Errorf("end a trial: %w", err)
		}
		s.idleTable = t.table
		s.retireAfterTrial(t.table, t.added)
	}
	s.services.Keep(services.Targets(s.config))
	if err := s.updateAnnouncement(); err != nil {
		s.log.Warn("other instances of anyport do not know what this one serves", "error", err)
	}
	s.checkExposed()
	s.serveFastPath(s.config)
	if err := s.eraseIdle(); err != nil {
		s.log.Warn("the old steering tables are still in the kernel", "error", err)
	}
	return s.fast.Raise()
}

// keepTrial makes the table on trial the one in service, once the program reads only its half.
func (s *Steering) keepTrial(t *trial) {
	before := s.table
	s.idleTable, s.table, s.numbers, s.validUntil = before, t.table, t.numbers, t.validUntil
	s.config, s.requested = t.config, t.requested
	s.generation++
	s.retireAfterTrial(before, t.removed)
	s.keeper.Serve(t.config, t.requested)
}

// retireAfterTrial retires prefixes that the table in service does not have, for the drain_timeout of their routes in
// the other table.
func (s *Steering) retireAfterTrial(other *table.Table, prefixes map[netip.Prefix]time.Time) {
	now, retired := time.Now(), map[netip.Prefix]time.Time{}
	for p := range prefixes {
		if until, already := s.retired[p]; already && !until.Equal(untilTrialEnds) {
			retired[p] = until
		} else {
			retired[p] = now.Add(other.LongestDrain(p))
		}
	}
	for p, until := range s.retired {
		if _, there := retired[p]; !there && !until.Equal(untilTrialEnds) {
			retired[p] = until
		}
	}
	s.retired = retired
}

// tableOf is the table that serves a client; the one before a trial for a client that is not known.
func (s *Steering) tableOf(client netip.Addr) *table.Table {
	if s.trial != nil && client.IsValid() && s.trial.share.Takes(client) {
		return s.trial.table
	}
	return s.table
}

// allNumbers are the numbers of the routes in service, those of a table on trial included.
func (s *Steering) allNumbers() map[string]uint32 {
	if s.trial == nil {
		return s.numbers
	}
	all := maps.Clone(s.trial.numbers)
	maps.Copy(all, s.numbers)
	return all
}

// allRoutes are the routes in service, and those that only a table on trial has.
func (s *Steering) allRoutes() []*config.Route {
	if s.trial == nil {
		return s.config.Routes
	}
	all := append([]*config.Route{}, s.config.Routes...)
	for _, r := range s.trial.config.Routes {
		if _, serving := s.numbers[r.Name]; !serving {
			all = append(all, r)
		}
	}
	return all
}

// compareTrial is Drift of the table on trial.
func (s *Steering) compareTrial(d *bpfmaps.Differences) error {
	t := s.trial
	if t == nil {
		return nil
	}
	half := s.half(s.generation + 1)
	half.ValidUntil = t.validUntil
	return half.Compare(d, t.table, t.numbers)
}
