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

// SameBuild says whether program is the one of spec, by its instructions.
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
