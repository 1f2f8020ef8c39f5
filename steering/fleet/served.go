package fleet

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"anyport/bpf"
)

// Served are the maps of the steering program that say which prefixes are served, and that have it judge
// the programs' questions without counting them. They still belong to the steering.
type Served struct {
	Generation, PrefixesV4, PrefixesV6, Probes *ebpf.Map
}

// places are the places of the maps, by their names in prefixes.h and probes.h.
func (s *Served) places() map[string]**ebpf.Map {
	return map[string]**ebpf.Map{
		bpf.FleetMapGeneration: &s.Generation, bpf.FleetMapProbes: &s.Probes,
		bpf.FleetMapPrefixesV4: &s.PrefixesV4, bpf.FleetMapPrefixesV6: &s.PrefixesV6,
	}
}

// byName are the maps in these places.
func (s Served) byName() map[string]*ebpf.Map {
	all := map[string]*ebpf.Map{}
	for name, place := range s.places() {
		all[name] = *place
	}
	return all
}

// ServedBy opens the maps of a steering program that is in the kernel, which takes CAP_SYS_ADMIN. The caller closes
// them.
func ServedBy(steering *ebpf.Program) (s Served, err error) {
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	info, err := steering.Info()
	if err != nil {
		return s, fmt.Errorf("read about the steering program: %w", err)
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return s, fmt.Errorf("open a map of the steering program: %w", err)
		}
		if err := s.take(m); err != nil {
			return s, err
		}
	}
	for name, m := range s.byName() {
		if m == nil {
			return s, fmt.Errorf("the steering program has no map %s: it is of another build", name)
		}
	}
	return s, nil
}

// take keeps a map that is one of these, and closes others.
func (s *Served) take(m *ebpf.Map) error {
	info, err := m.Info()
	if err != nil {
		return errors.Join(fmt.Errorf("read about a map: %w", err), m.Close())
	}
	place := s.places()[info.Name]
	if place == nil || *place != nil {
		return m.Close()
	}
	*place = m
	return nil
}

// Close closes the maps of ServedBy.
func (s Served) Close() error {
	var errs []error
	for _, m := range s.byName() {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// reads says whether a program has the maps.
func reads(p *ebpf.Program, served Served) error {
	info, err := p.Info()
	if err != nil {
		return fmt.Errorf("read about it: %w", err)
	}
	has, _ := info.MapIDs()
	for _, m := range served.byName() {
		about, err := m.Info()
		if err != nil {
			return fmt.Errorf("read about a map: %w", err)
		}
		id, _ := about.ID()
		if !slices.Contains(has, id) {
			return errors.New("it reads the prefixes of another steering program")
		}
	}
	return nil
}
