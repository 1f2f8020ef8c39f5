package steering

import (
	"net/netip"
	"time"

	"anyport/config"

	"github.com/gaissmai/bart"
)

// A prefix that a reload drops stays local for a while, for the conns that live there:
// without the route their packets would go nowhere. Its new conns are refused meanwhile,
// so that they don't fall through to the host's listeners. Its datagrams are steered
// where they were: the kernel can't tell those of a flow from others, the proxy can.

// linger returns the prefixes of our routes that wanted does not cover, and until when
// they are to stay: for the drain_timeout of the routes that they had.
func (s *Steering) linger(cfg *config.Config, wanted *bart.Lite, now time.Time) map[netip.Prefix]time.Time {
	gone := make(map[netip.Prefix]time.Time)
	for p := range s.routes.mine.All() {
		if wanted.LookupPrefix(p) {
			continue
		}
		until, lingering := s.gone[p]
		if !lingering {
			until = now.Add(s.drain(cfg, p))
		}
		if now.Before(until) {
			gone[p] = until
		}
	}
	return gone
}

// drain is how long conns may live on in p: of what another process had in service,
// as long as any of cfg.
func (s *Steering) drain(cfg *config.Config, p netip.Prefix) (longest time.Duration) {
	if s.table != unknown {
		return s.table.drain(p)
	}
	for _, r := range cfg.Routes {
		longest = max(longest, r.Drain)
	}
	return longest
}

// Lingers reports whether there are prefixes that stay for their old conns alone.
func (s *Steering) Lingers() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.gone) > 0
}

// Settle gives up the prefixes that linger after a reload: their last conn has ended.
func (s *Steering) Settle() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.giveUp(func(time.Time) bool { return true })
}

// expire gives up the prefixes whose time is over.
func (s *Steering) expire(now time.Time) error {
	return s.giveUp(func(until time.Time) bool { return !now.Before(until) })
}

func (s *Steering) giveUp(due func(until time.Time) bool) error {
	any := false
	for p, until := range s.gone {
		if due(until) {
			s.gone[p], any = time.Time{}, true
		}
	}
	if !any {
		return nil
	}
	return s.replace(s.config, s.asked)
}
