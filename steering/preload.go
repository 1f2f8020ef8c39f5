package steering

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/steering/fastpath"
	"anyport/steering/fleet"
	"anyport/steering/program"
	"anyport/steering/services"
	"anyport/steering/table"
)

// A program in the kernel cannot change, nor can its maps, so another build brings its own. Loading
// them needs privileges that a process gives up before it serves, and that the process which takes
// its place never had. So the upgrade command loads them, and passes them on: [Preloaded].

// Preloaded is the program and the maps of this build, loaded and not attached. It belongs to the
// upgrade command, which has the privileges to load it and gives it to the new process.
type Preloaded struct {
	loaded    program.Loaded // zero: only fleet is there
	returning *ebpf.Program  // mark_returning, with the maps of loaded
	hook      *services.Hook
	fast      *fastpath.Objects // nil: this kernel has no fast path
	fleet     *fleet.Objects    // nil: nor can it send on conns of other hosts
}

// fdPreloaded begins the names of its descriptors. The word is part of the protocol between
// builds: it must not change.
const fdPreloaded = "spare/"

// Spare begins the names of the descriptors of a Preloaded in an Inheritance.
const Spare = fdPreloaded

// Preload loads the program of this build, with maps as large as those of the attached program
// of that id. It returns nil if that one is of this build, and if this process may not look at
// it, which requires CAP_SYS_ADMIN.
func Preload(serving uint32) (*Preloaded, error) {
	running, err := ebpf.NewProgramFromID(ebpf.ProgramID(serving))
	if err != nil {
		return nil, nil
	}
	defer running.Close()
	spec, err := bpf.LoadSteer()
	if err != nil || program.SameBuild(running, spec.Programs[bpf.SteerProgSteer], "the steering program") == nil {
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
	p := &Preloaded{loaded: e}
	var objects bpf.SteerObjects
	if err := e.Assign(&objects); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if p.returning, err = loadReturning(&objects); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.hook, _ = services.LoadHook(objects.LocalSockets) // without it the next process polls
	p.fast, _ = fastpath.Load()                         // without it user space forwards all flows
	p.fleet, _ = fleet.Load(servedMaps(&objects.SteerMaps))
	return p, nil
}

// Handover returns the descriptors, which still belong to s: [Inherit] gets copies of them, together
// with those of the steering in service.
func (s *Preloaded) Handover() Inheritance {
	in := Inheritance{}
	if s == nil {
		return in
	}
	if s.loaded.Program != nil {
		in.addProgram(&s.loaded, fdPreloaded)
		in[fdPreloaded+fdReturning] = s.returning.FD()
		in.addHook(s.hook, fdPreloaded)
		in.addFast(s.fast.Descriptors(), fdPreloaded)
	}
	in.addFleet(s.fleet.Descriptors(), fdPreloaded)
	return in
}

// Close closes the descriptors of this process. The kernel frees the program when no process has one.
func (s *Preloaded) Close() error {
	if s == nil {
		return nil
	}
	return errors.Join(s.returning.Close(), s.hook.Close(), s.fast.Close(), s.fleet.Close(), s.loaded.Close())
}

// replaceProgram prepares a program of this build in place of the attached one, which is of another
// build, as why says. switchProgram attaches it when the first table is filled: until then nothing
// changes for any packet.
func (s *Steering) replaceProgram(asked *table.Table, in Inheritance, why error) error {
	if s.pins != nil {
		if err := s.pins.CheckWritable(); err != nil {
			return errors.Join(why, err)
		}
	}
	loaded, err := in.preloaded(asked)
	if err != nil {
		return errors.Join(fmt.Errorf("%w, and this one has none to put in its place (%w): give the upgrade command as root, from the new binary itself", why, err), loaded.Close())
	}
	s.log.Info("the steering program of this build takes the place of another", "because", why)
	loaded.Link, s.loaded.Link = s.loaded.Link, nil
	s.formerProgram, s.loaded.Program = s.loaded.Program, nil
	for _, name := range []string{program.SavedMap, bpf.SteerMapKnockNonces} { // what they hold goes on: the program uses neither
		saved := s.loaded.Maps[name]
		if saved == nil || name == bpf.SteerMapKnockNonces && program.CheckNonces(saved) != nil {
			continue
		}
		delete(s.loaded.Maps, name)
		err = errors.Join(err, loaded.Maps[name].Close())
		loaded.Maps[name] = saved
	}
	err = errors.Join(err, s.takeDoors(s.loaded.Maps))
	err = errors.Join(err, s.loaded.Close())
	s.loaded, s.table = loaded, table.Unknown
	return errors.Join(err, s.loaded.Assign(&s.objects))
}

// preloaded takes the preloaded program out of in, or loads one if there is none.
func (in Inheritance) preloaded(table *table.Table) (e program.Loaded, err error) {
	if !in.Has(fdPreloaded + fdProgram) {
		return program.Load(table, nil)
	}
	if e, err = in.loadedWithoutLink(fdPreloaded); err == nil {
		err = e.CheckBuild()
	}
	return e, err
}

// switchProgram attaches the program where another one still is, now that the table of generation
// is filled. It attaches the former one again if generation is 0: there is no table yet.
func (s *Steering) switchProgram(generation uint32) error {
	if s.formerProgram != nil && generation == 0 {
		return s.loaded.Link.Update(s.formerProgram)
	}
	state, err := s.linkState()
	if err != nil || s.formerProgram == nil && state != linkOtherProgram {
		return err
	}
	s.copyDoors()
	if _, err = s.ensureAttached(); err == nil {
		s.programReplaced = true
	}
	return err
}

// closeFormer closes the former program, and its doors.
func (s *Steering) closeFormer() error {
	err := errors.Join(s.formerProgram.Close(), s.formerDoors.Close())
	s.formerProgram, s.formerDoors = nil, nil
	return err
}
