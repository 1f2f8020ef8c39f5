package program

import (
	"errors"
	"fmt"
	"maps"

	"anyport/bpf"
	"anyport/steering/table"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Loaded is what of a steering is in the kernel. It ends with the process, unless
// another process has it too.
type Loaded struct {
	Program *ebpf.Program
	Maps    map[string]*ebpf.Map // as steer.bpf.c names them
	Grace   *GracePeriod
	Link    *link.NetNsLink // keep: the kernel detaches the program with the last reference
}

// create creates the maps, with room for twice what table needs and more, because
// their sizes cannot change, and for no less than least says by their names, and loads the
// program. The link is still missing.
func create(table *table.Table, least map[string]uint32) (e Loaded, err error) {
	liftMemlock()
	spec, err := bpf.LoadSteer()
	if err != nil {
		return e, err
	}
	intervals, bindings := room(len(table.Intervals()), 1<<16), room(len(table.Bindings()), 1<<10)
	spec.Maps[bpf.SteerMapIntervals].MaxEntries = 2 * intervals
	spec.Maps[bpf.SteerMapBindings].MaxEntries = 2 * bindings
	numbers := 2 * bindings // the routes of two generations
	spec.Maps[bpf.SteerMapCounters].MaxEntries = numbers * uint32(bpf.SteerVerdictVERDICTS)
	spec.Maps[bpf.SteerMapBuckets].MaxEntries = numbers
	spec.Maps[bpf.SteerMapDrains].MaxEntries = numbers
	spec.Maps[bpf.SteerMapAdmitted].MaxEntries = room(table.Admissions(), 1<<16)
	for name, n := range least {
		if m := spec.Maps[name]; m != nil {
			m.MaxEntries = max(m.MaxEntries, n)
		}
	}
	c, err := ebpf.NewCollection(spec)
	if err != nil {
		return e, err
	}
	e.Program, e.Maps = c.Programs[bpf.SteerProgSteer], c.Maps
	if e.Grace, err = NewGracePeriod(); err != nil {
		return Loaded{}, errors.Join(err, e.Close())
	}
	return e, nil
}

// room returns twice n, but no less than least.
func room(n, least int) uint32 { return uint32(max(2*n, least)) }

// Assign gives the program and maps, which are those of this build, by their fields.
func (e *Loaded) Assign(to *bpf.SteerObjects) error {
	c := ebpf.Collection{Programs: map[string]*ebpf.Program{bpf.SteerProgSteer: e.Program}, Maps: maps.Clone(e.Maps)}
	return c.Assign(to)
}

// CheckBuild says whether e is of this build: the program to the instruction, the maps
// but for their sizes.
func (e *Loaded) CheckBuild() error {
	spec, err := bpf.LoadSteer()
	if err != nil {
		return err
	}
	if err := SameBuild(e.Program, spec); err != nil {
		return err
	}
	for name, m := range spec.Maps {
		have, ok := e.Maps[name]
		if !ok {
			return fmt.Errorf("the map %s is missing", name)
		}
		m.MaxEntries = have.MaxEntries()
		if err := m.Compatible(have); err != nil {
			return fmt.Errorf("the map %s is of another version: %w", name, err)
		}
	}
	return nil
}

func SameBuild(program *ebpf.Program, spec *ebpf.CollectionSpec) error {
	info, err := program.Info()
	if err != nil {
		return fmt.Errorf("read about the steering program: %w", err)
	}
	if err := spec.Programs[bpf.SteerProgSteer].Compatible(info); err != nil {
		return fmt.Errorf("the steering program is of another version: %w", err)
	}
	return nil
}

// Unpin has all of e forget where it was pinned, for to pin it there again would do nothing.
func (e *Loaded) Unpin() error {
	errs := []error{e.Link.Unpin(), e.Program.Unpin()}
	for _, m := range e.Maps {
		errs = append(errs, m.Unpin())
	}
	return errors.Join(errs...)
}

// CloseLink ends the steering, if nobody else has the link.
func (e *Loaded) CloseLink() error {
	if e.Link == nil {
		return nil
	}
	err := e.Link.Close()
	e.Link = nil
	return err
}

// Close closes everything. What was never there is no error.
func (e *Loaded) Close() error {
	errs := []error{e.CloseLink(), e.Program.Close()}
	for _, m := range e.Maps {
		errs = append(errs, m.Close())
	}
	e.Grace.close()
	*e = Loaded{}
	return errors.Join(errs...)
}

// Load makes an estate of this build.
func Load(table *table.Table, least map[string]uint32) (Loaded, error) {
	if err := checkPrivileges(); err != nil {
		return Loaded{}, err
	}
	e, err := create(table, least)
	if err != nil {
		return Loaded{}, fmt.Errorf("load the steering program: %w", Advise(err))
	}
	return e, nil
}

// MapSizes are the sizes of the program's maps by name.
func MapSizes(program *ebpf.Program) (map[string]uint32, error) {
	info, err := program.Info()
	if err != nil {
		return nil, err
	}
	ids, _ := info.MapIDs()
	sizes := make(map[string]uint32)
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return nil, err
		}
		if info, err := m.Info(); err == nil {
			sizes[info.Name] = info.MaxEntries
		}
		m.Close()
	}
	return sizes, nil
}
