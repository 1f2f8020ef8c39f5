package steering

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
	"anyport/steering/table"
)

// Counters are the verdicts of one route since it was first in service: one for each
// first packet of a flow or conn, of which SYN cookies show the latter twice.
type Counters struct {
	Route    string // "": ports of served prefixes that no route takes
	Verdicts map[table.Verdict]uint64
}

// Counters reads the counters of the program that this process has: after another process has put its own
// in the place of that, the last ones.
func (s *Steering) Counters() ([]Counters, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil, nil
	}
	return s.readCounters()
}

// RestoredRoutes is how many local routes that others removed were put back; 0 once it is closed.
func (s *Steering) RestoredRoutes() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return 0
	}
	return s.keeper.RestoredRoutes()
}

// ProgramID is the id of that program. No other one gets it while the kernel runs.
func (s *Steering) ProgramID() (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.programID()
	return uint32(id), err
}

// CountersSum is that of all routes, and of what no route takes. It has no map for each route, so with very many of them
// it takes a small part of the time of Counters.
func (s *Steering) CountersSum() (map[table.Verdict]uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil, nil
	}
	all, err := bpfmaps.CPUSums(s.objects.Counters)
	if err != nil {
		return nil, fmt.Errorf("counters: %w", err)
	}
	sums := verdictsOf(all, 0)
	for _, number := range s.allNumbers() {
		for code := range bpf.SteerVerdictVERDICTS {
			sums[bpfmaps.VerdictOf(code)] += all[counterOf(number, code)]
		}
	}
	return sums, nil
}

// readCounters returns what no route takes, then the routes by name.
func (s *Steering) readCounters() ([]Counters, error) {
	sums, err := bpfmaps.CPUSums(s.objects.Counters)
	if err != nil {
		return nil, fmt.Errorf("counters: %w", err)
	}
	numbers := s.allNumbers()
	all := make([]Counters, 0, 1+len(numbers))
	for _, name := range slices.Concat([]string{""}, slices.Sorted(maps.Keys(numbers))) {
		all = append(all, Counters{Route: name, Verdicts: verdictsOf(sums, numbers[name])})
	}
	return all, nil
}

// verdictsOf are the counters of a number.
func verdictsOf(sums []uint64, number uint32) map[table.Verdict]uint64 {
	verdicts := make(map[table.Verdict]uint64, bpf.SteerVerdictVERDICTS)
	for code := range bpf.SteerVerdictVERDICTS {
		verdicts[bpfmaps.VerdictOf(code)] = sums[counterOf(number, code)]
	}
	return verdicts
}

// clearVerdicts sets the counters of a number to 0.
func clearVerdicts(counters *ebpf.Map, number uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	for code := range bpf.SteerVerdictVERDICTS {
		if err := counters.Put(counterOf(number, code), make([]uint64, cpus)); err != nil {
			return err
		}
	}
	return nil
}

// counterOf is where the route of that number counts a verdict.
func counterOf(number uint32, code bpf.SteerVerdict) uint32 {
	return number*uint32(bpf.SteerVerdictVERDICTS) + uint32(code)
}
