package steering

import (
	"fmt"

	"anyport/steering/bpfmaps"
	"anyport/steering/table"
)

// TrialCounters are what the kernel has decided since BeginTrial or ShareConns, all routes together.
type TrialCounters struct {
	Old, Next map[table.Verdict]uint64
}

// readTrial returns nil if nothing is on trial.
func (s *Steering) readTrial() (*TrialCounters, error) {
	if s.trial == nil && !s.shared {
		return nil, nil
	}
	sums, err := bpfmaps.CPUSums(s.objects.TrialCounts)
	if err != nil {
		return nil, fmt.Errorf("read the counters of a trial: %w", err)
	}
	return &TrialCounters{verdictsOf(sums, 0), verdictsOf(sums, 1)}, nil
}
