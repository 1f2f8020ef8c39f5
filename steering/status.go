package steering

import (
	"fmt"
	"maps"
	"slices"

	"anyport/bpf"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Status is what the kernel has of us now.
type Status struct {
	Attached   bool // our program is still in the namespace
	ProgramID  uint32
	Foreign    []uint32 // ids of other sk_lookup programs in the namespace
	Prefixes   int      // distinct ones
	Generation uint64   // how many tables were put in service, the first included
	Counters   []Counters
}

// Counters are the verdicts of one route since it was first in service: one for each
// first packet of a flow or conn, of which SYN cookies show the latter twice.
type Counters struct {
	Route    string // "": ports of served prefixes that no route takes
	Verdicts map[Verdict]uint64
}

// Status reads the counters and asks the kernel which programs are attached.
func (s *Steering) Status() (Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil {
		return Status{}, nil
	}
	info, err := s.objects.Steer.Info()
	if err != nil {
		return Status{}, fmt.Errorf("id of the steering program: %w", err)
	}
	id, _ := info.ID()
	all, err := s.programs()
	if err != nil {
		return Status{}, err
	}
	status := Status{ProgramID: uint32(id), Prefixes: s.table.Prefixes(), Generation: s.generation + 1}
	for _, other := range all {
		if other == status.ProgramID {
			status.Attached = true
			continue
		}
		status.Foreign = append(status.Foreign, other)
	}
	status.Counters, err = s.readCounters()
	return status, err
}

// programs returns the ids of the sk_lookup programs attached to the namespace.
func (s *Steering) programs() ([]uint32, error) {
	result, err := link.QueryPrograms(link.QueryOptions{Target: int(s.netns.Fd()), Attach: ebpf.AttachSkLookup})
	if err != nil {
		return nil, fmt.Errorf("list the sk_lookup programs: %w", err)
	}
	var ids []uint32
	for _, p := range result.Programs {
		ids = append(ids, uint32(p.ID))
	}
	return ids, nil
}

// readCounters returns what no route takes, then the routes by name.
func (s *Steering) readCounters() ([]Counters, error) {
	all := []Counters{}
	for _, name := range slices.Concat([]string{""}, slices.Sorted(maps.Keys(s.counters))) {
		var cpus []bpf.SteerCounters
		if err := s.objects.Counters.Lookup(s.counters[name], &cpus); err != nil {
			return nil, fmt.Errorf("counters of route %q: %w", name, err)
		}
		all = append(all, Counters{name, sum(cpus)})
	}
	return all, nil
}

func sum(cpus []bpf.SteerCounters) map[Verdict]uint64 {
	total := make(map[Verdict]uint64)
	for _, cpu := range cpus {
		for code, n := range cpu.Verdicts {
			total[verdictWords[code]] += n
		}
	}
	return total
}

// clearCounters zeroes those of the routes that are not in service yet: their numbers
// may have had other owners.
func (s *Steering) clearCounters(numbers map[string]uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	for name, n := range numbers {
		if _, serving := s.counters[name]; serving {
			continue
		}
		if err := s.objects.Counters.Put(n, make([]bpf.SteerCounters, cpus)); err != nil {
			return fmt.Errorf("clear the counters of route %q: %w", name, err)
		}
	}
	return nil
}
