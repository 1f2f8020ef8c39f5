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
	if err := s.openEstate(cfg.Steering.Pin, table, in); err != nil {
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
	if err := s.openRoutes(); err != nil {
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
func (s *Steering) openEstate(pin string, table *Table, in Inheritance) error {
	if err := s.openPins(pin, in); err != nil {
		return err
	}
	_, inherited := in[fdProgram]
	switch {
	case inherited:
		if err := s.inherit(table, in); err != nil {
			return fmt.Errorf("inherit the steering: %w", err)
		}
		return nil
	case s.link != nil:
		if err := s.adopt(table, in); err != nil {
			return fmt.Errorf("go on with the steering in %s: %w: or remove it with: anyport unload", pin, err)
		}
		return nil
	}
	return s.create(table)
}

// openPins opens the pins, and what a process that is gone has in them. If the link is
// missing, that is no use to anybody.
func (s *Steering) openPins(pin string, in Inheritance) (err error) {
	_, living := in[fdProgram]
	fd, locked := in.take(fdPins)
	switch {
	case locked:
		s.pins, err = inheritPins(pin, fd)
	case pin != "":
		s.pins, err = openPins(pin)
	}
	if err != nil || s.pins == nil || locked && living {
		return err
	}
	if s.estate, err = s.pins.load(); err != nil || s.link != nil {
		s.pins.kept = true
		return err
	}
	err = s.pins.remove(func(string) {})
	return errors.Join(err, s.estate.close())
}

// inherit goes on with what is in the kernel from in.
func (s *Steering) inherit(table *Table, in Inheritance) (err error) {
	if s.link != nil {
		return fmt.Errorf("there is another in %s: remove it with: anyport unload", s.pins.path)
	}
	if s.estate, err = in.estate(); err != nil {
		return err
	}
	return s.adopt(table, in)
}

// adopt goes on with an estate of another process, or has a spare take its place where it
// is of another build.
func (s *Steering) adopt(table *Table, in Inheritance) (err error) {
	s.outlives = true
	if err := s.compatible(); err != nil {
		return s.exchange(table, in, err)
	}
	if err := s.assign(&s.objects); err != nil {
		return err
	}
	if s.grace == nil { // nobody pins it
		if s.grace, err = newGrace(); err != nil {
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
	if s.estate, err = load(table, nil); err != nil {
		return err
	}
	s.table = newTable()
	return s.assign(&s.objects)
}

// pin has the steering outlive this process, if it is to.
func (s *Steering) pin() (err error) {
	s.outlives = s.pins != nil
	switch {
	case s.pins == nil:
	case !s.pins.kept:
		err = s.pins.save(&s.estate)
	case s.relieved:
		err = s.pins.replace(&s.estate)
	}
	s.relieved = s.relieved && err != nil
	return err
}

func (s *Steering) openRoutes() (err error) {
	if s.routes, err = newLocalRoutes(); err != nil {
		return err
	}
	return s.adoptRoutes()
}

// adoptRoutes takes over the local routes that another process left, unless a foreign
// program is here, whose they may be.
func (s *Steering) adoptRoutes() error {
	others, err := s.foreign()
	if err != nil {
		return err
	}
	if len(others) > 0 {
		s.log.Warn("other sk_lookup programs are attached here; a socket that one of them chooses wins, and their routes are left; what an anyport that is gone has pinned ends with: anyport unload", "programs", others)
		return nil
	}
	return s.routes.adopt()
}
