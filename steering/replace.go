package steering

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/host"
	"anyport/steering/services"
	"anyport/steering/table"
)

// Replace puts table in service. Every packet meets either the old table, whole, or
// the new one. On error the old one serves on.
//
// A prefix is local only while the table in service has it, for otherwise the host's
// own listeners would answer on its addresses: what is no longer there stops being
// local before the flip, what is new becomes local after it. What the table has no
// more is retired: it stays local for the drain_timeout of its routes; old conns continue, new ones are
// refused.
func (s *Steering) Replace(cfg *config.Config, table *table.Table) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkReplaceable(table); err != nil {
		return err
	}
	if err := s.replace(cfg, table); err != nil {
		return err
	}
	return s.fast.Raise()
}

// checkReplaceable says why another table cannot come into service now. It puts back the local routes that others
// have removed, since the changes to the routes are computed from what this process remembers.
func (s *Steering) checkReplaceable(table *table.Table) error {
	switch {
	case s.isClosed():
		return errors.New("the steering is closed")
	case s.trial != nil || s.shared:
		return errOnTrial
	}
	if err := s.checkOverlap(table); err != nil {
		return err
	}
	return s.keeper.RestoreNow(time.Now())
}

// Table returns the table in service: the last one that Replace was given, and the
// retired prefixes of those before it.
func (s *Steering) Table() *table.Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table
}

// replace is Replace without its lock and checks. It fills the idle half, changes the local
// routes around the flip in the order of [host.RoutePlan], and erases the half that has served.
// Until the flip, an error leaves everything as it was.
func (s *Steering) replace(cfg *config.Config, asked *table.Table) error {
	return s.replaceBefore(nil, nil, cfg, asked)
}

// replaceBefore is replace before another table serves beside this one: the prefixes that only the other one has
// become local, too, as if they were retired.
func (s *Steering) replaceBefore(other *table.Table, added map[netip.Prefix]time.Time, cfg *config.Config, asked *table.Table) error {
	if err := s.eraseIdle(); err != nil {
		return err
	}
	wanted, err := s.routes.Wanted(cfg, asked)
	if err != nil {
		return err
	}
	gone := s.retirePrefixes(cfg, wanted, time.Now())
	next := asked.WithRetired(s.table, gone).WithRetired(other, added)
	maps.Copy(gone, added)
	for p := range gone {
		wanted.Insert(p)
	}
	s.idleTable = next
	numbers := bpfmaps.NumberRoutes(s.numbers, next)
	validUntil := kernelHours(cfg, time.Now)
	if err := s.prepare(next, numbers, validUntil); err != nil {
		return errors.Join(fmt.Errorf("fill the steering tables: %w", err), s.eraseIdle())
	}
	if err := s.installReturnPath(cfg); err != nil {
		return errors.Join(err, s.eraseIdle())
	}
	err = s.services.Add(services.Targets(cfg), time.Now())
	if err == nil {
		err = s.swap(s.routes.Plan(wanted))
	}
	if err != nil {
		if s.config != nil {
			s.services.Keep(services.Targets(s.config))
		}
		return errors.Join(err, s.eraseIdle())
	}
	s.services.Keep(services.Targets(cfg))
	s.idleTable, s.table, s.numbers, s.validUntil = s.table, next, numbers, validUntil
	s.config, s.requested, s.retired = cfg, asked, gone
	s.keeper.Serve(cfg, asked)
	s.generation++
	if err := s.updateAnnouncement(); err != nil {
		s.log.Warn("other instances of anyport do not know what this one serves", "error", err)
	}
	s.checkExposed()
	s.serveFastPath(cfg)
	if s.idleTable == table.Unknown { // to search for what is in it takes seconds: Watch has time
		return nil
	}
	if err := s.eraseIdle(); err != nil { // the new table serves all the same
		s.log.Warn("the old steering tables are still in the kernel", "error", err)
	}
	return nil
}

// prepare fills the idle half, and binds the sockets that drop if table drops anything.
func (s *Steering) prepare(table *table.Table, numbers map[string]uint32, validUntil map[string]uint64) error {
	if err := s.resetRoutes(numbers); err != nil {
		return err
	}
	if table.MayDrop() {
		if err := s.sockets.bindDropSockets(); err != nil {
			return err
		}
		if err := s.sockets.putIntoMap(&s.objects.SteerMaps, dropSlots...); err != nil {
			return err
		}
	}
	half := s.half(s.generation + 1)
	half.ValidUntil = validUntil
	return half.Fill(table, numbers)
}

// swap flips to the idle half between the two parts of plan, or does nothing.
func (s *Steering) swap(plan host.RoutePlan) error {
	if err := s.routes.Apply(plan.Before); err != nil {
		return err
	}
	if err := s.flip(s.generation + 1); err != nil {
		return errors.Join(err, s.routes.Apply(host.Inverse(plan.Before)))
	}
	if err := s.routes.Apply(plan.After); err != nil {
		return errors.Join(err, s.flip(s.generation), s.routes.Apply(host.Inverse(plan.Before)))
	}
	return nil
}
