package steering

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"time"

	"anyport/config"
	"anyport/steering/host"
	"anyport/steering/instances"
	"anyport/steering/table"
)

// Open loads the program, attaches it, opens the sockets, puts table in service, and
// makes the prefixes local. It needs CAP_BPF and CAP_NET_ADMIN. On error nothing
// stays behind.
//
// Where cfg has steering.pin, it continues with what the last process has pinned: since that
// process ended, its prefixes were refused; now they are served, with no gap in between.
func Open(cfg *config.Config, table *table.Table, log *slog.Logger) (*Steering, error) {
	return Inherit(cfg, table, nil, log)
}

// Inherit opens the steering with the descriptors that another process has given, and makes
// what is not among them. It owns the descriptors, on error too. At no moment is anything refused
// that the tables before and after both serve.
//
// With the program in it, Inherit makes no maps and loads nothing, and does with fewer
// privileges than Open, if the program is of the same build or a Spare that is comes with
// it. Until the giver has called Release, leave with Release too: Close would end the
// steering of both.
func Inherit(cfg *config.Config, table *table.Table, in Inheritance, log *slog.Logger) (*Steering, error) {
	s := &Steering{log: log}
	_, giverLives := in[fdReturning]
	if err := errors.Join(s.open(cfg, table, in), in.Close()); err != nil {
		s.returning.installed = s.returning.installed && !giverLives
		if giverLives {
			err = errors.Join(err, s.fleet.Release(), s.fast.Release())
		}
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open runs in the order that keeps the two rules of the package: attach before any prefix is
// local, the table before its routes, pins when everything else has succeeded.
func (s *Steering) open(cfg *config.Config, table *table.Table, in Inheritance) (err error) {
	runtime.LockOSThread() // the namespace is the thread's
	defer runtime.UnlockOSThread()

	if s.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return fmt.Errorf("open this network namespace: %w", err)
	}
	if s.announcement, err = instances.Announce(); err != nil {
		return err
	}
	if err := s.openProgram(cfg, table, in); err != nil {
		return err
	}
	if err := s.checkOverlap(table); err != nil {
		return err
	}
	if s.formerProgram == nil { // else with the first table
		if _, err := s.ensureAttached(); err != nil {
			return err
		}
	}
	if err := s.sockets.open(cfg.Listen, in, s.log); err != nil {
		return err
	}
	if err := s.sockets.putIntoMap(&s.objects.SteerMaps, slices.Concat(servingSlots, dropSlots)...); err != nil {
		return err
	}
	if err := s.openRoutes(cfg, table, in); err != nil {
		return err
	}
	if err := s.openReturnPath(cfg, in); err != nil {
		return err
	}
	s.openServices(in)
	s.openFastPath(in)
	s.openFleet(cfg, in)
	s.sweepFilters()
	if err := s.drawKnockSecret(); err != nil {
		return fmt.Errorf("draw the secret of knocks: %w", err)
	}
	if err := s.openNonces(time.Now()); err != nil {
		return err
	}
	if err := s.replace(cfg, table); err != nil {
		return err
	}
	if err := s.pinProgram(); err != nil {
		return err
	}
	if err := errors.Join(s.pinFast(), s.pinFleet()); err != nil {
		return err
	}
	s.copyDoors() // those too that the former program has opened until it was replaced
	return s.closeFormer()
}

// openRoutes opens what adds and watches the local routes. It adds none: replace does, when the
// table is filled.
func (s *Steering) openRoutes(cfg *config.Config, table *table.Table, in Inheritance) (err error) {
	if s.routes, err = host.OpenLocalRoutes(); err != nil {
		return err
	}
	s.keeper = host.NewKeeper(s.routes, s.log)
	if s.monitor, err = host.OpenMonitor(); err != nil {
		return err
	}
	if err := s.openTUN(cfg, table, in); err != nil {
		return err
	}
	if err := s.guardLink(); err != nil {
		return err
	}
	return s.adoptRoutes(table)
}
