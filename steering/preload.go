package steering

import (
	"errors"
	"fmt"

	"anyport/bpf"
	"anyport/steering/program"
	"anyport/steering/table"

	"github.com/cilium/ebpf"
)

// A program in the kernel cannot change, nor can its maps, so that another build brings its
// own. To load them takes privileges that a process gives up before it serves, and that
// the process which takes its place never had: who asks for the upgrade hands it a Spare.

// Preloaded is the program and the maps of this build, loaded and not at work.
type Preloaded struct{ loaded program.Loaded }

// fdPreloaded stands before the names of a spare's descriptors.
const fdPreloaded = "spare/"

// Preload loads a spare with as much room as the program of that id has, which is at
// work. It returns nil where that is of this build, and where this process may not look at
// it, which takes CAP_SYS_ADMIN.
func Preload(serving uint32) (*Preloaded, error) {
	running, err := ebpf.NewProgramFromID(ebpf.ProgramID(serving))
	if err != nil {
		return nil, nil
	}
	defer running.Close()
	spec, err := bpf.LoadSteer()
	if err != nil || program.SameBuild(running, spec) == nil {
		return nil, err
	}
	sizes, err := program.MapSizes(running)
	if err != nil {
		return nil, fmt.Errorf("read how large the maps of the steering program are: %w", err)
	}
	e, err := program.Load(table.Empty(), sizes)
	if err != nil {
		return nil, err
	}
	return &Preloaded{e}, nil
}

// Handover returns the descriptors of the spare, which still belong to it: give copies of
// them to Inherit, beside those of the steering that is at work.
func (s *Preloaded) Handover() Inheritance {
	in := Inheritance{}
	if s != nil {
		in.addProgram(&s.loaded, fdPreloaded)
	}
	return in
}

// Close closes what of it nobody else has.
func (s *Preloaded) Close() error {
	if s == nil {
		return nil
	}
	return s.loaded.Close()
}

// replaceProgram prepares that a program of this build takes the place of the one that is at
// work and, as why says, is of another. It does so with its first table: until then
// nothing changes for any packet.
func (s *Steering) replaceProgram(asked *table.Table, in Inheritance, why error) error {
	if s.pins != nil {
		if err := s.pins.CheckWritable(); err != nil {
			return errors.Join(why, err)
		}
	}
	spare, err := in.preloaded(asked)
	if err != nil {
		return errors.Join(fmt.Errorf("%w, and this one has none to put in its place (%w): give the upgrade command as root, from the new binary itself", why, err), spare.Close())
	}
	s.log.Info("the steering program of this build takes the place of another", "because", why)
	spare.Link, s.loaded.Link = s.loaded.Link, nil
	s.formerProgram, s.loaded.Program = s.loaded.Program, nil
	err = s.loaded.Close()
	s.loaded, s.table = spare, table.Unknown
	return errors.Join(err, s.loaded.Assign(&s.objects))
}

// preloaded takes the spare out of in, or loads one where there is none.
func (in Inheritance) preloaded(table *table.Table) (e program.Loaded, err error) {
	if !in.Has(fdPreloaded + fdProgram) {
		return program.Load(table, nil)
	}
	if e, err = in.loadedWithoutLink(fdPreloaded); err == nil {
		err = e.CheckBuild()
	}
	return e, err
}

// switchProgram puts the program at work where another is, now that it reads generation. It puts
// the former one back where that is nothing yet.
func (s *Steering) switchProgram(generation uint32) error {
	if s.formerProgram != nil && generation == 0 {
		return s.loaded.Link.Update(s.formerProgram)
	}
	state, err := s.linkState()
	if err != nil || s.formerProgram == nil && state != linkOtherProgram {
		return err
	}
	if _, err = s.ensureAttached(); err == nil {
		s.programReplaced = true
	}
	return err
}

// closeFormer closes the former program.
func (s *Steering) closeFormer() error {
	err := s.formerProgram.Close()
	s.formerProgram = nil
	return err
}
