package steering

import (
	"errors"
	"fmt"
	"maps"

	"anyport/bpf"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// estate is what of a steering is in the kernel. It ends with the process, unless
// another process has it too.
type estate struct {
	program *ebpf.Program
	maps    map[string]*ebpf.Map // as steer.bpf.c names them
	grace   *grace
	link    *link.NetNsLink // keep: the kernel detaches the program with the last reference
}

// newEstate creates the maps, with room for twice what table needs and more, because
// their sizes cannot change, and for no less than least says by their names, and loads the
// program. The link is still missing.
func newEstate(table *Table, least map[string]uint32) (e estate, err error) {
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
	spec.Maps[bpf.SteerMapAdmitted].MaxEntries = room(table.admissions(), 1<<16)
	for name, n := range least {
		if m := spec.Maps[name]; m != nil {
			m.MaxEntries = max(m.MaxEntries, n)
		}
	}
	c, err := ebpf.NewCollection(spec)
	if err != nil {
		return e, err
	}
	e.program, e.maps = c.Programs[bpf.SteerProgSteer], c.Maps
	if e.grace, err = newGrace(); err != nil {
		return estate{}, errors.Join(err, e.close())
	}
	return e, nil
}

// room returns twice n, but no less than least.
func room(n, least int) uint32 { return uint32(max(2*n, least)) }

// assign gives the program and maps, which are those of this build, by their fields.
func (e *estate) assign(to *bpf.SteerObjects) error {
	c := ebpf.Collection{Programs: map[string]*ebpf.Program{bpf.SteerProgSteer: e.program}, Maps: maps.Clone(e.maps)}
	return c.Assign(to)
}

// compatible says whether e is of this build: the program to the instruction, the maps
// but for their sizes.
func (e *estate) compatible() error {
	spec, err := bpf.LoadSteer()
	if err != nil {
		return err
	}
	if err := ofThisBuild(e.program, spec); err != nil {
		return err
	}
	for name, m := range spec.Maps {
		have, ok := e.maps[name]
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

func ofThisBuild(program *ebpf.Program, spec *ebpf.CollectionSpec) error {
	info, err := program.Info()
	if err != nil {
		return fmt.Errorf("read about the steering program: %w", err)
	}
	if err := spec.Programs[bpf.SteerProgSteer].Compatible(info); err != nil {
		return fmt.Errorf("the steering program is of another version: %w", err)
	}
	return nil
}

// unpin has all of e forget where it was pinned, for to pin it there again would do nothing.
func (e *estate) unpin() error {
	errs := []error{e.link.Unpin(), e.program.Unpin()}
	for _, m := range e.maps {
		errs = append(errs, m.Unpin())
	}
	return errors.Join(errs...)
}

// closeLink ends the steering, if nobody else has the link.
func (e *estate) closeLink() error {
	if e.link == nil {
		return nil
	}
	err := e.link.Close()
	e.link = nil
	return err
}

// close closes everything. What was never there is no error.
func (e *estate) close() error {
	errs := []error{e.closeLink(), e.program.Close()}
	for _, m := range e.maps {
		errs = append(errs, m.Close())
	}
	e.grace.close()
	*e = estate{}
	return errors.Join(errs...)
}

// load makes an estate of this build.
func load(table *Table, least map[string]uint32) (estate, error) {
	if err := checkPrivileges(); err != nil {
		return estate{}, err
	}
	e, err := newEstate(table, least)
	if err != nil {
		return estate{}, fmt.Errorf("load the steering program: %w", advise(err))
	}
	return e, nil
}

// mapSizes are the sizes of the program's maps by name.
func mapSizes(program *ebpf.Program) (map[string]uint32, error) {
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
