package steering

import (
	"fmt"

	"anyport/config"
	"anyport/steering/program"
	"anyport/steering/table"
)

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
