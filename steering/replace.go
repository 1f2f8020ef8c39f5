package steering

import (
	"errors"
	"fmt"
	"time"

	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/host"
	"anyport/steering/table"
)

// Replace puts table in service. Every packet meets either the old table, whole, or
// the new one. On error the old one serves on.
//
// A prefix is local only while the table in service has it, for otherwise the host's
// own listeners would answer on its addresses: what is no longer there stops being
// local before the flip, what is new becomes local after it. What the table has no
// more lingers for the drain_timeout of its routes: their conns live on, new ones are
// refused.
func (s *Steering) Replace(cfg *config.Config, table *table.Table) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return errors.New("the steering is closed")
	}
	if err := s.checkBeside(table); err != nil {
		return err
	}
	if err := s.keep.RestoreNow(time.Now()); err != nil {
		return err
	}
	return s.replace(cfg, table)
}

// Table returns the table in service: the last one that Replace was given, and the
// prefixes that linger from those before it.
func (s *Steering) Table() *table.Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table
}

func (s *Steering) replace(cfg *config.Config, asked *table.Table) error {
	if err := s.clean(); err != nil {
		return err
	}
	wanted, err := s.routes.Wanted(cfg, asked)
	if err != nil {
		return err
	}
	gone := s.linger(cfg, wanted, time.Now())
	next := asked.WithRetired(s.table, gone)
	for p := range gone {
		wanted.Insert(p)
	}
	s.leftover = next
	numbers := bpfmaps.NumberRoutes(s.numbers, next)
	if err := s.prepare(next, numbers); err != nil {
		return errors.Join(fmt.Errorf("fill the steering tables: %w", err), s.clean())
	}
	if err := s.swap(s.routes.Plan(wanted)); err != nil {
		return errors.Join(err, s.clean())
	}
	s.leftover, s.table, s.numbers = s.table, next, numbers
	s.config, s.asked, s.gone = cfg, asked, gone
	s.keep.Serve(cfg, asked)
	s.generation++
	if err := s.announce(); err != nil {
		s.log.Warn("other instances of anyport are not told what this one serves", "error", err)
	}
	s.judgeDeath()
	if s.leftover == table.Unknown { // to search for what is in it takes seconds: Watch has time
		return nil
	}
	if err := s.clean(); err != nil { // the new table serves all the same
		s.log.Warn("the old steering tables are still in the kernel", "error", err)
	}
	return nil
}

// prepare fills the idle half, and what table needs besides.
func (s *Steering) prepare(table *table.Table, numbers map[string]uint32) error {
	if err := s.clear(numbers); err != nil {
		return err
	}
	if table.MayDrop() {
		if err := s.sockets.bindHoles(); err != nil {
			return err
		}
		if err := s.sockets.put(&s.objects.SteerMaps, holes...); err != nil {
			return err
		}
	}
	return s.half(s.generation+1).Fill(table, numbers)
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

// flip makes the half of generation the one that the program reads.
func (s *Steering) flip(generation uint32) error {
	if err := s.objects.Generation.Put(uint32(0), generation); err != nil {
		return fmt.Errorf("flip the generation: %w", err)
	}
	return s.relieve(generation)
}

// clean empties the idle half, once no run of the program can still be reading it,
// so that there is room for the next table.
func (s *Steering) clean() error {
	if s.leftover == nil {
		return nil
	}
	if err := s.loaded.Grace.Wait(); err != nil {
		return fmt.Errorf("wait for a grace period: %w", err)
	}
	if err := s.half(s.generation + 1).Erase(s.leftover); err != nil {
		return fmt.Errorf("erase a table that does not serve: %w", err)
	}
	s.leftover = nil
	return nil
}
