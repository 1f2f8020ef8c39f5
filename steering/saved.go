package steering

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"anyport/steering/program"
)

// Saved maps the memory that outlives this process where the steering does: it is pinned, stored and handed
// over with that. The memory stays mapped after Close and Release, for as long as somebody holds it.
func (s *Steering) Saved() (*ebpf.Memory, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.loaded.Maps[program.SavedMap]
	if m == nil {
		return nil, errors.New("the process before had none")
	}
	if err := program.CheckSaved(m); err != nil {
		return nil, err
	}
	memory, err := m.Memory()
	if err != nil {
		return nil, fmt.Errorf("map the memory: %w", err)
	}
	return memory, nil
}
