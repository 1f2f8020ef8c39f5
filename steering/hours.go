package steering

import (
	"fmt"
	"time"

	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/clock"
	"anyport/steering/table"
)

// ApplyHours tells the kernel which routes are in force by the clock now, and until when. It has to be
// called when a schedule changes, and when the clock was set. If it is not, the kernel goes on by what
// it was told last: what was in force ends when it should, and nothing else begins. Replace does the
// same for the routes that it puts into service.
//
// It writes one word for each of these routes, instead of a table into the half that does not serve:
// a million prefixes take seconds. What ends has ended without it, and what begins is written after
// that, so no moment has both. A lookup reads the word of one route once, so it never meets half of a
// change. The kernel copies the word with the rest of the binding, which stays the same, and does not
// promise to copy all eight bytes at once. No mixture of their bytes opens what is closed before and
// after: see [bpfmaps.ValidUntil].
func (s *Steering) ApplyHours(now func() time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	validUntil, changed, err := s.writeHours(s.half(s.generation), s.config, s.table, s.numbers, now)
	if err != nil {
		return err
	}
	s.validUntil = validUntil
	if t := s.trial; t != nil {
		half := s.half(s.generation + 1)
		half.ValidUntil = t.validUntil
		var too bool
		if t.validUntil, too, err = s.writeHours(half, t.config, t.table, t.numbers, now); err != nil {
			return err
		}
		changed = changed || too
	}
	if !changed {
		return nil
	}
	return s.fast.Raise() // of the flows that the kernel forwards, too, some have hours
}

// writeHours tells the kernel the hours of one table, and returns them. changed is false if it has none, and had none.
func (s *Steering) writeHours(half bpfmaps.Half, cfg *config.Config, t *table.Table, numbers map[string]uint32, now func() time.Time) (validUntil map[string]uint64, changed bool, err error) {
	before := half.ValidUntil
	validUntil = kernelHours(cfg, now)
	if len(validUntil) == 0 && len(before) == 0 {
		return before, false, nil
	}
	keepEqual(validUntil, before)
	half.ValidUntil = validUntil
	if err := half.WriteHours(t, numbers); err != nil {
		return before, false, fmt.Errorf("write the hours of the routes: %w", err)
	}
	return validUntil, true, nil
}

// keepEqual has next say what before says where they differ by no more than two readings of the clocks do.
func keepEqual(next, before map[string]uint64) {
	const imprecision = uint64(10 * time.Millisecond)
	for name, until := range next {
		if was, ok := before[name]; ok && max(was, until)-min(was, until) < imprecision {
			next[name] = was
		}
	}
}

// kernelHours is bpfmaps.ValidUntil by the clock now and the kernel's.
func kernelHours(cfg *config.Config, now func() time.Time) map[string]uint64 {
	wall, boot := clock.Both(now)
	return bpfmaps.ValidUntil(cfg.Routes, wall, boot)
}
