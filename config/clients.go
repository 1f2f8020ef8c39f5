package config

import (
	"iter"
	"net/netip"

	"github.com/gaissmai/bart"
)

// Clients is the one reading of a route's allow and deny: the longest prefix that holds a
// client decides, deny on a tie, and a client that neither list names is admitted if allow is
// empty. The kernel's tables are filled from it, and the proxy asks it for each new conn and
// flow. It never changes. A nil Clients admits everyone.
type Clients struct {
	rules bart.Table[bool] // true allows, false denies
	rest  bool             // clients that no rule names are admitted
}

// NewClients returns nil where both lists are empty.
func NewClients(allow, deny []netip.Prefix) *Clients {
	if len(allow) == 0 && len(deny) == 0 {
		return nil
	}
	c := &Clients{rest: len(allow) == 0}
	for _, p := range allow {
		c.rules.Insert(p.Masked(), true)
	}
	for _, p := range deny { // after allow: on a tie deny replaces it
		c.rules.Insert(p.Masked(), false)
	}
	return c
}

// Peers are the rules for who may send to r at all, which the kernel applies to the address that
// packets come from. That is the client, unless a PROXY header names it: then only the peers of
// accept_proxy may send, and allow and deny (Named) apply to the client that the header names.
func (r *Route) Peers() *Clients {
	if r.NamesClients() {
		return NewClients(r.AcceptProxy, nil)
	}
	return r.Named()
}

// NamesClients reports whether a PROXY header names the clients of r.
func (r *Route) NamesClients() bool { return len(r.AcceptProxy) > 0 }

// Named are the rules of allow and deny, for the client itself.
func (r *Route) Named() *Clients { return NewClients(r.Allow, r.Deny) }

// Admits reports whether client is admitted. The mapped form ::ffff:a.b.c.d is the IPv4
// address that it stands for, and a zone does not matter.
func (c *Clients) Admits(client netip.Addr) bool {
	if c == nil {
		return true
	}
	if allowed, ok := c.rules.Lookup(client.Unmap()); ok { // Lookup does not look at a zone
		return allowed
	}
	return c.rest
}

// Rule returns the prefix that decides for client, the zero prefix where none holds it. Nobody
// has rules of a nil Clients.
func (c *Clients) Rule(client netip.Addr) netip.Prefix {
	if c == nil {
		return netip.Prefix{}
	}
	host := client.Unmap()
	prefix, _, _ := c.rules.LookupPrefixLPM(netip.PrefixFrom(host, host.BitLen())) // PrefixFrom drops a zone
	return prefix
}

// everyone are the rules for all clients of a family, those that no other rule names. That of
// IPv4 keeps its mapped addresses from matching a rule for IPv6.
var everyone = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// Rules yields each prefix and whether it allows, in no order: a longest-prefix match over them
// decides as Admits does. Every client has a rule, since the prefixes of both families are among
// them. A nil Clients yields nothing.
func (c *Clients) Rules() iter.Seq2[netip.Prefix, bool] {
	return func(yield func(netip.Prefix, bool) bool) {
		if c == nil {
			return
		}
		for _, p := range everyone {
			if _, named := c.rules.Get(p); !named && !yield(p, c.rest) {
				return
			}
		}
		c.rules.All()(yield)
	}
}
