package program

import (
	"fmt"

	"github.com/cilium/ebpf"

	"anyport/bpf"
)

// CheckBuild says whether e is of this build: the program to the instruction, the maps
// except for their sizes.
func (e *Loaded) CheckBuild() error {
	spec, err := bpf.LoadSteer()
	if err != nil {
		return err
	}
	if err := SameBuild(e.Program, spec.Programs[bpf.SteerProgSteer], "the steering program"); err != nil {
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

// SameBuild says whether a program is the one of spec, by its instructions. name is what errors call it.
func SameBuild(program *ebpf.Program, spec *ebpf.ProgramSpec, name string) error {
	info, err := program.Info()
	if err != nil {
		return fmt.Errorf("read about %s: %w", name, err)
	}
	if err := spec.Compatible(info); err != nil {
		return fmt.Errorf("%s is of another version: %w", name, err)
	}
	return nil
}

// SameMaps says whether maps are those of spec, by name.
func SameMaps(maps map[string]**ebpf.Map, spec *ebpf.CollectionSpec) error {
	for name, m := range maps {
		if err := spec.Maps[name].Compatible(*m); err != nil {
			return fmt.Errorf("the map %s is of another version: %w", name, err)
		}
	}
	return nil
}
