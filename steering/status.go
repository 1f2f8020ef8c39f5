package steering

import (
	"fmt"

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
