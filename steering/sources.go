package steering

import (
	"iter"
	"net/netip"

	"anyport/config"

	"github.com/gaissmai/bart"
)

// sources is the allow and deny lists of one route.
type sources struct {
	rules bart.Table[bool] // true allows, false denies
	rest  bool             // the clients that no rule names are admitted
}

// newSources returns nil, which admits everyone, when route names no clients.
func newSources(route *config.Route) *sources {
	if len(route.Allow) == 0 && len(route.Deny) == 0 {
		return nil
	}
	s := &sources{rest: len(route.Allow) == 0}
	for _, p := range route.Allow {
		s.rules.Insert(p.Masked(), true)
	}
	for _, p := range route.Deny { // after the allowed ones: on a tie, deny wins
		s.rules.Insert(p.Masked(), false)
	}
	return s
}

// admits reports whether the longest rule that names client allows it. The mapped
// form ::ffff:a.b.c.d is the IPv4 address that it stands for.
func (s *sources) admits(client netip.Addr) bool {
	if s == nil {
		return true
	}
	if allowed, ok := s.rules.Lookup(plain(client)); ok {
		return allowed
	}
	return s.rest
}

// The rules for all clients of a family, for those that no other rule names. That of
// IPv4 keeps its mapped addresses from matching a rule for IPv6.
var everyone = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// all yields the rules, with those for everyone.
func (s *sources) all() iter.Seq2[netip.Prefix, bool] {
	return func(yield func(netip.Prefix, bool) bool) {
		if s == nil {
			return
		}
		for _, p := range everyone {
			if _, named := s.rules.Get(p); !named && !yield(p, s.rest) {
				return
			}
		}
		s.rules.All()(yield)
	}
}

// rule returns the rule that decides for client, the zero prefix where none names it.
func (s *sources) rule(client netip.Addr) netip.Prefix {
	host := plain(client)
	prefix, _, _ := s.rules.LookupPrefixLPM(netip.PrefixFrom(host, host.BitLen()))
	return prefix
}

// plain returns addr as the rules write it: unmapped and without a zone.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
