package steering

import (
	"bytes"
	"fmt"

	"anyport/bpf"

	"github.com/cilium/ebpf"
)

// A route has a number, by which the kernel keeps what outlives a generation: its
// counters, its token bucket, and whether it drains. Number 0 is for what no route takes.

// numberRoutes gives every route of table a number: the one it has in old, or the
// lowest that is free.
func numberRoutes(old map[string]uint32, table *Table) map[string]uint32 {
	taken, numbers := make(map[uint32]bool), make(map[string]uint32)
	for _, n := range old {
		taken[n] = true
	}
	next := uint32(1)
	for _, r := range table.list() {
		name := r.Name
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

// numbers returns those of the routes in h by their names.
func (h half) numbers() (map[string]uint32, error) {
	numbers := make(map[string]uint32)
	for i := uint32(1); i < h.bindings; i++ {
		var b bpf.SteerBinding
		if err := h.maps.Bindings.Lookup(h.firstBinding()+i, &b); err != nil {
			return nil, fmt.Errorf("read the bindings: %w", err)
		}
		name := routeName(b.Route)
		if name == "" {
			break
		}
		numbers[name] = b.Number
	}
	return numbers, nil
}

// routeName reads a name as the maps have it.
func routeName(text [64]uint8) string {
	name, _, _ := bytes.Cut(text[:], []byte{0})
	return string(name)
}

// clear makes a clean start for the routes that are not in service yet: their numbers
// may have had other owners.
func (s *Steering) clear(numbers map[string]uint32) error {
	for name, number := range numbers {
		if _, serving := s.numbers[name]; serving {
			continue
		}
		if err := s.clearNumber(number); err != nil {
			return fmt.Errorf("clear what the kernel keeps of route %q: %w", name, err)
		}
	}
	return nil
}

func (s *Steering) clearNumber(number uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	for code := range verdictWords {
		if err := s.objects.Counters.Put(counterOf(number, code), make([]uint64, cpus)); err != nil {
			return err
		}
	}
	if err := s.objects.Buckets.Put(number, bpf.SteerBucket{}); err != nil {
		return err
	}
	return s.objects.Drains.Put(number, flag(false))
}
