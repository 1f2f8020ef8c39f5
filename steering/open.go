package steering

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"

	"anyport/config"
)

// Open loads the program, attaches it, opens the sockets, puts table in service, and
// makes the prefixes local. It needs CAP_BPF and CAP_NET_ADMIN. On error nothing
// stays behind.
//
// Where cfg has steering.pin, it goes on with what the last process pinned: from its
// end on, what it served was refused, and is now served without a moment between.
func Open(cfg *config.Config, table *Table, log *slog.Logger) (*Steering, error) {
	return Inherit(cfg, table, nil, log)
}

// Inherit opens the steering with what another process gave, and opens what is not in
// there anew. It owns the descriptors, on error too. At no moment is anything refused
// that the tables before and after both serve.
//
// With the program in it, Inherit makes no maps and loads nothing, and does with fewer
// privileges than Open, if the program is of the same build or a Spare that is comes with
// it. Until the giver has called Release, leave with Release too: Close would end the
// steering of both.
func Inherit(cfg *config.Config, table *Table, in Inheritance, log *slog.Logger) (*Steering, error) {
	s := &Steering{log: log}
	if err := errors.Join(s.open(cfg, table, in), in.Close()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Steering) open(cfg *config.Config, table *Table, in Inheritance) (err error) {
	runtime.LockOSThread() // the namespace is the thread's
	defer runtime.UnlockOSThread()

	if s.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return fmt.Errorf("open this network namespace: %w", err)
	}
	if s.presence, err = openPresence(); err != nil {
		return err
	}
	if err := s.openEstate(cfg, table, in); err != nil {
		return err
	}
	if err := s.checkBeside(table); err != nil {
		return err
	}
	if s.former == nil { // else with the first table
		if _, err := s.attach(); err != nil {
			return err
		}
	}
	if err := s.sockets.open(cfg.Listen, in, s.log); err != nil {
		return err
	}
	if err := s.sockets.put(&s.objects.SteerMaps, slices.Concat(serving, holes)...); err != nil {
		return err
	}
	if err := s.openRoutes(cfg, table, in); err != nil {
		return err
	}
	if err := s.replace(cfg, table); err != nil {
		return err
	}
	if err := s.pin(); err != nil {
		return err
	}
	return s.dismiss()
}

// openEstate takes what is in the kernel from another process, from the pins of one
// that is gone, or makes it.
func (s *Steering) openEstate(cfg *config.Config, table *Table, in Inheritance) error {
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
	case s.loaded.link != nil:
		if err := s.adopt(table, in); err != nil {
			return fmt.Errorf("go on with the steering in %s: %w: or remove it with: anyport unload", s.pins.path, err)
		}
		return nil
	}
	return s.create(table)
}

// openPins opens the pins, and what a process that is gone has in them. If the link is
// missing, that is no use to anybody; nor is it where anyport chose the directory and no
// namespace has the link any more: another namespace had the number before.
func (s *Steering) openPins(cfg *config.Config, in Inheritance) (err error) {
	_, living := in[fdProgram]
	fd, locked := in.take(fdPins)
	at, err := s.place(cfg)
	switch {
	case err != nil:
	case locked:
		s.pins, err = inheritPins(at, fd)
	case at.auto && living: // the process before found no place
	case at.auto:
		s.pins, err = s.openAuto(at)
	case at.path != "":
		s.pins, err = openPins(at)
	}
	if err != nil || s.pins == nil || locked && living {
		return err
	}
	s.loaded, err = s.pins.load()
	if err != nil || s.loaded.link != nil && !(at.auto && s.defunct()) {
		s.pins.kept = true
		return err
	}
	err = s.pins.remove()
	return errors.Join(err, s.loaded.close())
}

// openAuto returns nil where nothing is to be pinned.
func (s *Steering) openAuto(at place) (*pins, error) {
	if why := at.reachable(); why != nil {
		s.log.Info("the steering is not pinned: it ends with this process, and so do the local routes", "because", why)
		return nil, nil
	}
	p, err := openPins(at)
	if err != nil && !errors.Is(err, errLocked) {
		s.log.Warn("the steering is not pinned: it ends with this process, and so do the local routes", "because", err)
		return nil, nil
	}
	return p, err
}

// place is where the steering is pinned in the namespace.
func (s *Steering) place(cfg *config.Config) (place, error) {
	inode, err := s.inode()
	return placeOf(cfg, inode), err
}

// defunct reports whether no namespace has the link any more.
func (s *Steering) defunct() bool {
	state, err := s.linkState()
	return err == nil && state == detached
}

// inherit goes on with what is in the kernel from in.
func (s *Steering) inherit(table *Table, in Inheritance) (err error) {
	if s.loaded.link != nil {
		return fmt.Errorf("there is another in %s: remove it with: anyport unload", s.pins.path)
	}
	if s.loaded, err = in.estate(); err != nil {
		return err
	}
	return s.adopt(table, in)
}

// adopt goes on with an estate of another process, or has a spare take its place where it
// is of another build.
func (s *Steering) adopt(table *Table, in Inheritance) (err error) {
	s.outlives = true
	if err := s.loaded.compatible(); err != nil {
		return s.exchange(table, in, err)
	}
	if err := s.loaded.assign(&s.objects); err != nil {
		return err
	}
	if s.loaded.grace == nil { // nobody pins it
		if s.loaded.grace, err = newGrace(); err != nil {
			return advise(err)
		}
	}
	if err := s.recall(); err != nil {
		return err
	}
	s.log.Info("going on with the steering of another process", "tables_before", s.generation)
	return nil
}

// create makes an estate.
func (s *Steering) create(table *Table) (err error) {
	if s.loaded, err = load(table, nil); err != nil {
		return err
	}
	s.table = newTable()
	return s.loaded.assign(&s.objects)
}

// pin has the steering outlive this process, if it is to.
func (s *Steering) pin() (err error) {
	s.unpins = s.pins != nil && s.pins.auto
	s.outlives = s.pins != nil && !s.pins.auto
	switch {
	case s.pins == nil:
	case !s.pins.kept:
		err = s.pins.save(&s.loaded)
	case s.relieved:
		err = s.pins.replace(&s.loaded)
	}
	s.relieved = s.relieved && err != nil
	return err
}

func (s *Steering) openRoutes(cfg *config.Config, table *Table, in Inheritance) (err error) {
	if s.routes, err = newLocalRoutes(); err != nil {
		return err
	}
	s.keep = newKeeper(s.routes, s.log)
	if s.monitor, err = openMonitor(); err != nil {
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
