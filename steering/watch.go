package steering

import (
	"context"
	"errors"
	"time"
)

// watchInterval is how long a program stays detached at most. The kernel tells nobody
// when it happens, and asking it costs a microsecond.
const watchInterval = time.Second

// Watch attaches the program again when somebody else has detached it, makes the device of the
// local routes again when somebody else has removed it, gives up the
// prefixes that have lingered long enough, and takes old tables out of the kernel that
// are still there, until ctx ends. It returns nil: what it cannot do it logs, and
// tries again. It calls relinked after the program was attached by another link, whose
// descriptor Handover has: who keeps a copy of the old one keeps a dead link.
func (s *Steering) Watch(ctx context.Context, relinked func()) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			text := ""
			anew, err := s.tend(now)
			if err != nil {
				text = err.Error()
			}
			if anew {
				relinked()
			}
			if text != last && text != "" {
				s.log.Error("the steering is not as it should be", "error", text)
			}
			last = text
		}
	}
}

// tend does what Watch does, once, and reports whether there is another link now.
func (s *Steering) tend(now time.Time) (anew bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return false, nil
	}
	before := s.link
	state, err := s.attach()
	if err == nil && state != linked {
		s.log.Error("somebody else has touched the link of the steering program: it is attached again", "it_was", state)
	}
	restored, deviceErr := s.routes.restore()
	if restored {
		s.log.Error("somebody else has removed the network device of the local routes or set it down: both are there again", "device", s.routes.tun.name)
	}
	return s.link != before, errors.Join(err, deviceErr, s.clean(), s.expire(now))
}
