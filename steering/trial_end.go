package steering

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"anyport/steering/services"
	"anyport/steering/table"
)

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
