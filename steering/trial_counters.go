package steering

import (
	"fmt"

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
	old, err := sumVerdicts(s.objects.TrialCounts, 0)
	if err != nil {
		return nil, fmt.Errorf("read the counters of a trial: %w", err)
	}
	next, err := sumVerdicts(s.objects.TrialCounts, 1)
	if err != nil {
		return nil, fmt.Errorf("read the counters of a trial: %w", err)
	}
	return &TrialCounters{old, next}, nil
}
