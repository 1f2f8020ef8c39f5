package route

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"anyport/config"
)

// sources decides by allow and deny: the longest prefix wins, deny on a tie.
// The kernel decides the same before the handshake; this is the second look,
// for a client that came in just before a reload shut it out.
type sources struct {
	rules     bart.Table[bool] // true admits
	otherwise bool
}

func newSources(c *config.Route) *sources {
	s := &sources{otherwise: len(c.Allow) == 0}
	for _, p := range c.Allow {
		s.rules.Insert(p, true)
	}
	for _, p := range c.Deny {
		s.rules.Insert(p, false)
	}
	return s
}

func (s *sources) admit(client netip.Addr) bool {
	if admit, found := s.rules.Lookup(client.Unmap()); found {
		return admit
	}
	return s.otherwise
}
