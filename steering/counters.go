package steering

import (
	"fmt"
	"maps"
	"slices"

	"anyport/bpf"

	"github.com/cilium/ebpf"
)

// Counters are the verdicts of one route since it was first in service: one for each
// first packet of a flow or conn, of which SYN cookies show the latter twice.
type Counters struct {
	Route    string // "": ports of served prefixes that no route takes
	Verdicts map[Verdict]uint64
}

// numberCounters gives every route of table a counter: the one it has in old, or the
// lowest that is free. Number 0 counts what no route takes.
func numberCounters(old map[string]uint32, table *Table) map[string]uint32 {
	taken, numbers := make(map[uint32]bool), make(map[string]uint32)
	for _, n := range old {
		taken[n] = true
	}
	next := uint32(1)
	for _, b := range table.bindings[1:] {
		name := b.route.Name
		if n, ok := old[name]; ok {
			numbers[name] = n
			continue
		}
		for taken[next] {
			next++
		}
		numbers[name], taken[next] = next, true
	}
	return numbers
}

// readCounters returns what no route takes, then the routes by name.
func (s *Steering) readCounters() ([]Counters, error) {
	all := []Counters{}
	for _, name := range slices.Concat([]string{""}, slices.Sorted(maps.Keys(s.counters))) {
		c := Counters{Route: name, Verdicts: make(map[Verdict]uint64)}
		for code, verdict := range verdictWords {
			var cpus []uint64
			if err := s.objects.Counters.Lookup(counterOf(s.counters[name], code), &cpus); err != nil {
				return nil, fmt.Errorf("counters of route %q: %w", name, err)
			}
			for _, n := range cpus {
				c.Verdicts[verdict] += n
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// counterOf is where the route of that number counts a verdict.
func counterOf(number uint32, code int) uint32 {
	return number*uint32(bpf.SteerVerdictVERDICTS) + uint32(code)
}

// clearCounters zeroes those of the routes that are not in service yet: their numbers
// may have had other owners.
func (s *Steering) clearCounters(numbers map[string]uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	for name, number := range numbers {
		if _, serving := s.counters[name]; serving {
			continue
		}
		for code := range verdictWords {
			if err := s.objects.Counters.Put(counterOf(number, code), make([]uint64, cpus)); err != nil {
				return fmt.Errorf("clear the counters of route %q: %w", name, err)
			}
		}
	}
	return nil
}
