package steering

import (
	"errors"
	"fmt"

	"anyport/bpf"
)

// writeShare writes which clients are on trial, and clears the counters. The program must see the share before it chooses by
// it: hence the grace period.
func (s *Steering) writeShare(share Share) error {
	for side := range uint32(2) {
		if err := clearVerdicts(s.objects.TrialCounts, side); err != nil {
			return fmt.Errorf("clear the counters of a trial: %w", err)
		}
	}
	if err := s.putShare(share); err != nil {
		return err
	}
	if err := s.loaded.GracePeriod.Wait(); err != nil {
		return fmt.Errorf("wait for a grace period: %w", err)
	}
	return nil
}

// putShare writes which clients are of a share. During a trial only Of32 may differ from what is there: the program
// reads the two words one after the other.
func (s *Steering) putShare(share Share) error {
	if err := s.objects.Trial.Put(uint32(0), bpf.SteerTrial{Seed: share.Seed, Share: share.Of32}); err != nil {
		return fmt.Errorf("write the share of a trial: %w", err)
	}
	return nil
}

// SetShare has the table on trial serve another share of the clients, which [Share.WithPercent] has made of the one before.
// On error nothing has changed.
func (s *Steering) SetShare(share Share) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.isClosed() || s.trial == nil:
		return errors.New("no table is on trial")
	case share.Seed != s.trial.share.Seed:
		return errors.New("another share of a trial needs the seed of the one before")
	}
	if err := s.putShare(share); err != nil {
		return err
	}
	s.trial.share = share
	return nil
}
