package program

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"anyport/bpf"
	"anyport/steering/table"
)

// Loaded is what a steering has in the kernel. It ends with the process, unless another process
// holds the descriptors too, or they are pinned. It belongs to one Steering, whose mutex guards
// it.
type Loaded struct {
	Program     *ebpf.Program
	Maps        map[string]*ebpf.Map // as steer.bpf.c names them, and SavedMap
	GracePeriod *GracePeriod
	Link        *link.NetNsLink // nil: not attached. The kernel detaches the program with the last reference
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
	if e.Maps[SavedMap], err = newSaved(bindings); err != nil {
		return Loaded{}, errors.Join(err, e.Close())
	}
	if e.GracePeriod, err = NewGracePeriod(); err != nil {
		return Loaded{}, errors.Join(err, e.Close())
	}
	return e, nil
}

// Assign gives the program and maps, which are those of this build, by their fields.
func (e *Loaded) Assign(to *bpf.SteerObjects) error {
	c := ebpf.Collection{Programs: map[string]*ebpf.Program{bpf.SteerProgSteer: e.Program}, Maps: maps.Clone(e.Maps)}
	return c.Assign(to)
}

// Unpin has all of e forget where it was pinned: cilium/ebpf would otherwise skip to pin it
// there again.
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

// Close closes everything. It may be called on what Load has left half done.
func (e *Loaded) Close() error {
	errs := []error{e.CloseLink(), e.Program.Close()}
	for _, m := range e.Maps {
		errs = append(errs, m.Close())
	}
	e.GracePeriod.close()
	*e = Loaded{}
	return errors.Join(errs...)
}

// Load loads the program of this build, with maps for table and of at least the sizes in least,
// by name. It is not attached yet.
func Load(table *table.Table, least map[string]uint32) (Loaded, error) {
	if err := CheckPrivileges(); err != nil {
		return Loaded{}, err
	}
	e, err := create(table, least)
	if err != nil {
		return Loaded{}, fmt.Errorf("load the steering program: %w", Advise(err))
	}
	return e, nil
}
