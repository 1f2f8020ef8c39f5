package steering

import (
	"fmt"

	"anyport/bpf"
	"anyport/steering/bpfmaps"

	"github.com/cilium/ebpf"
)

// A route has a number, by which the kernel keeps what outlives a generation: its
// counters, its token bucket, and whether it drains. Number 0 is for what no route takes.

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
	for code := range bpfmaps.Verdicts {
		if err := s.objects.Counters.Put(counterOf(number, code), make([]uint64, cpus)); err != nil {
			return err
		}
	}
	if err := s.objects.Buckets.Put(number, bpf.SteerBucket{}); err != nil {
		return err
	}
	return s.objects.Drains.Put(number, bpfmaps.Flag(false))
}
