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
	"anyport/steering/pins"
	"anyport/steering/program"
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
	if err := s.pinFast(); err != nil {
		return err
	}
	s.copyDoors() // those too that the former program has opened until it was replaced
	return s.closeFormer()
}

// openProgram takes what is in the kernel from another process, from the pins of one
// that is gone, or makes it.
func (s *Steering) openProgram(cfg *config.Config, table *table.Table, in Inheritance) error {
	if err := s.openPins(cfg, in); err != nil {
		return err
	}
	_, inherited := in[fdProgram]
	switch {
	case inherited:
		if err := s.inherit(table, in); err != nil {
			return fmt.Errorf("inherit the steering: %w", err)
		}
		return nil
	case s.loaded.Link != nil:
		if err := s.adopt(table, in); err != nil {
			return fmt.Errorf("go on with the steering in %s: %w: or remove it with: anyport unload", s.pins.Path, err)
		}
		return nil
	}
	return s.create(table)
}

// openPins opens the pins, and what a dead process has left in them. That is removed if the link
// is missing, which makes it useless; and if anyport has chosen the directory and the link is
// detached: another namespace had the same number before.
func (s *Steering) openPins(cfg *config.Config, in Inheritance) (err error) {
	_, living := in[fdProgram]
	fd, locked := in.take(fdPins)
	at, err := s.pinPlace(cfg)
	switch {
	case err != nil:
	case locked:
		s.pins, err = pins.Inherit(at, fd)
	case at.Auto && living: // the process before found no place
	case at.Auto:
		s.pins, err = s.openAuto(at)
	case at.Path != "":
		s.pins, err = pins.Open(at)
	}
	if err != nil || s.pins == nil || locked && living {
		return err
	}
	s.loaded, err = s.pins.Load()
	if err != nil || s.loaded.Link != nil && !(at.Auto && s.linkIsDead()) {
		s.pins.Saved = true
		return err
	}
	err = s.pins.Remove()
	return errors.Join(err, s.loaded.Close())
}

// openAuto returns nil where nothing is to be pinned.
func (s *Steering) openAuto(at pins.Place) (*pins.Dir, error) {
	if why := at.Reachable(); why != nil {
		s.log.Info("the steering is not pinned: it ends with this process, and so do the local routes", "because", why)
		return nil, nil
	}
	p, err := pins.Open(at)
	if err != nil && !errors.Is(err, pins.ErrLocked) {
		s.log.Warn("the steering is not pinned: it ends with this process, and so do the local routes", "because", err)
		return nil, nil
	}
	return p, err
}

// pinPlace is where the steering is pinned in the namespace.
func (s *Steering) pinPlace(cfg *config.Config) (pins.Place, error) {
	inode, err := s.inode()
	return pins.PlaceOf(cfg, inode), err
}

// linkIsDead reports whether no namespace has the link any more.
func (s *Steering) linkIsDead() bool {
	state, err := s.linkState()
	return err == nil && state == linkDetached
}

// inherit takes the program from in.
func (s *Steering) inherit(table *table.Table, in Inheritance) (err error) {
	if s.loaded.Link != nil {
		return fmt.Errorf("there is another in %s: remove it with: anyport unload", s.pins.Path)
	}
	if s.loaded, err = in.loaded(); err != nil {
		return err
	}
	return s.adopt(table, in)
}

// adopt continues with the program of another process, or has a preloaded one take its place
// if it is of another build.
func (s *Steering) adopt(table *table.Table, in Inheritance) (err error) {
	s.outlives = true
	if err := s.loaded.CheckBuild(); err != nil {
		return s.replaceProgram(table, in, err)
	}
	if err := s.loaded.Assign(&s.objects); err != nil {
		return err
	}
	if s.loaded.GracePeriod == nil { // nobody pins it
		if s.loaded.GracePeriod, err = program.NewGracePeriod(); err != nil {
			return program.Advise(err)
		}
	}
	if err := s.readGeneration(); err != nil {
		return err
	}
	s.log.Info("going on with the steering of another process", "tables_before", s.generation)
	return nil
}

// create loads the program where no other process has left one.
func (s *Steering) create(asked *table.Table) (err error) {
	if s.loaded, err = program.Load(asked, nil); err != nil {
		return err
	}
	s.table = table.Empty()
	return s.loaded.Assign(&s.objects)
}

// pinProgram has the steering outlive this process, if it is to.
func (s *Steering) pinProgram() (err error) {
	s.unpins = s.pins != nil && s.pins.Auto
	s.outlives = s.pins != nil && !s.pins.Auto
	switch {
	case s.pins == nil:
	case !s.pins.Saved:
		err = s.pins.Save(&s.loaded)
	case s.programReplaced:
		err = s.pins.Replace(&s.loaded)
	}
	s.programReplaced = s.programReplaced && err != nil
	return err
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
