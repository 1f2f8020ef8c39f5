package steering

import (
	"net/netip"
	"time"

	"github.com/gaissmai/bart"

	"anyport/config"
	"anyport/steering/table"
)

// A prefix that a reload drops stays local for a while, for the conns that live there:
// without the route their packets would go nowhere. Its new conns are refused meanwhile,
// so that they don't fall through to the host's listeners. Its datagrams are steered
// where they were: the kernel can't tell those of a flow from others, the proxy can.

// retirePrefixes returns the prefixes of our routes that wanted does not cover, and until when
// they are to stay: for the drain_timeout of the routes that they had.
func (s *Steering) retirePrefixes(cfg *config.Config, wanted *bart.Lite, now time.Time) map[netip.Prefix]time.Time {
	gone := make(map[netip.Prefix]time.Time)
	for p := range s.routes.Added().All() {
		if wanted.LookupPrefix(p) {
			continue
		}
		until, already := s.retired[p]
		if !already {
			until = now.Add(s.drainTimeout(cfg, p))
		}
		if now.Before(until) {
			gone[p] = until
		}
	}
	return gone
}

// drainTimeout is how long conns may live on in p: of what another process had in service,
// as long as any of cfg.
func (s *Steering) drainTimeout(cfg *config.Config, p netip.Prefix) (longest time.Duration) {
	if s.table != table.Unknown {
		return s.table.LongestDrain(p)
	}
	for _, r := range cfg.Routes {
		longest = max(longest, r.Drain)
	}
	return longest
}

// HasRetired reports whether there are prefixes that are local only for their old conns.
func (s *Steering) HasRetired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.retired) > 0 && s.trial == nil
}

// DropRetired gives up the retired prefixes at once: their last conn has ended.
func (s *Steering) DropRetired() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropRetired(func(time.Time) bool { return true })
}

// dropExpired gives up the retired prefixes that have had their drain_timeout.
func (s *Steering) dropExpired(now time.Time) error {
	return s.dropRetired(func(until time.Time) bool { return !now.Before(until) })
}

// dropRetired puts the requested table in service again without the prefixes that are due. A
// zero time marks them, so that retirePrefixes does not keep them.
func (s *Steering) dropRetired(due func(until time.Time) bool) error {
	any := false
	if s.trial != nil { // whose prefixes stay local until it ends
		return nil
	}
	for p, until := range s.retired {
		if due(until) {
			s.retired[p], any = time.Time{}, true
		}
	}
	if !any {
		return nil
	}
	return s.replace(s.config, s.requested)
}
