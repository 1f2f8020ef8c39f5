package steering

import (
	"fmt"
	"maps"
	"slices"

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

// readCounters returns what no route takes, then the routes by name.
func (s *Steering) readCounters() ([]Counters, error) {
	all := []Counters{}
	numbers := s.allNumbers()
	for _, name := range slices.Concat([]string{""}, slices.Sorted(maps.Keys(numbers))) {
		c := Counters{Route: name, Verdicts: make(map[table.Verdict]uint64)}
		for code := range bpf.SteerVerdictVERDICTS {
			var cpus []uint64
			if err := s.objects.Counters.Lookup(counterOf(numbers[name], code), &cpus); err != nil {
				return nil, fmt.Errorf("counters of route %q: %w", name, err)
			}
			for _, n := range cpus {
				c.Verdicts[bpfmaps.VerdictOf(code)] += n
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// counterOf is where the route of that number counts a verdict.
func counterOf(number uint32, code bpf.SteerVerdict) uint32 {
	return number*uint32(bpf.SteerVerdictVERDICTS) + uint32(code)
}
