package steering

import (
	"context"
	"errors"
	"time"
)

// watchInterval is how long a program stays detached at most. The kernel tells nobody
// when it happens, and asking it costs a microsecond.
const watchInterval = time.Second

// Watch attaches the program again when somebody else has detached it, gives up the
// prefixes that have lingered long enough, and takes old tables out of the kernel that
// are still there, until ctx ends. It returns nil: what it cannot do it logs, and
// tries again.
func (s *Steering) Watch(ctx context.Context) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			text := ""
			if err := s.tend(now); err != nil {
				text = err.Error()
			}
			if text != last && text != "" {
				s.log.Error("the steering is not as it should be", "error", text)
			}
			last = text
		}
	}
}

// tend does what Watch does, once.
func (s *Steering) tend(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return nil
	}
	state, err := s.attach()
	if err == nil && state != linked {
		s.log.Error("somebody else has touched the link of the steering program: it is attached again", "it_was", state)
	}
	return errors.Join(err, s.clean(), s.expire(now))
}
