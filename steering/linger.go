package steering

import (
	"iter"
	"net/netip"
	"slices"
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

// drain returns the longest drain_timeout of the routes that have conns or flows in p.
func (t *Table) drain(p netip.Prefix) (longest time.Duration) {
	for _, policy := range t.prefixes.Subnets(p) {
		for _, s := range []segment{policy.tcp, policy.udp} {
			for r := range t.forwarding(s) {
				longest = max(longest, r.Drain)
			}
		}
	}
	return longest
}

// forwarding yields the routes that forward what s has.
func (t *Table) forwarding(s segment) iter.Seq[*config.Route] {
	return func(yield func(*config.Route) bool) {
		for _, v := range t.intervals[s.offset:][:s.count] {
			if b := t.bindings[v.binding]; b.verdict == Steer && b.route != nil && !yield(b.route) {
				return
			}
		}
	}
}

// hasFlows reports whether there may be flows in p, also of an earlier table.
func (t *Table) hasFlows(p netip.Prefix) bool {
	if gone, lingers := t.gone.Get(p); lingers {
		return gone.udp.count > 0
	}
	for _, policy := range t.prefixes.Subnets(p) {
		for range t.forwarding(policy.udp) {
			return true
		}
	}
	return t == unknown
}

// lingering returns t with these prefixes of the table before, where t itself has nothing.
func (t *Table) lingering(before *Table, gone map[netip.Prefix]time.Time) *Table {
	if len(gone) == 0 {
		return t
	}
	with := *t
	with.gone = new(bart.Table[policy])
	with.bindings = append(slices.Clip(t.bindings), binding{terms: terms{verdict: Steer}})
	with.intervals = append(slices.Clip(t.intervals), interval{lo: 0, binding: uint32(len(t.bindings))})
	steer := segment{uint32(len(t.intervals)), 1}
	for p := range gone {
		var left policy // which refuses
		if before.hasFlows(p) {
			left.udp = steer
		}
		if _, served := t.prefixes.LookupPrefix(p); !served {
			with.gone.Insert(p, left)
		}
	}
	return &with
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
