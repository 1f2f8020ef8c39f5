package config

import (
	"fmt"
	"net/netip"
)

// OriginCheck checks the addresses that DNS names of origins have at run time against the routes of a
// file, as Load checks the addresses that the file has. It does not change, and is safe for concurrent
// use.
type OriginCheck struct {
	owners *prefixOwners
	routes []*Route
}

// NewOriginCheck makes the check for the routes of one file.
func NewOriginCheck(routes []*Route) *OriginCheck { return &OriginCheck{ownersOf(routes), routes} }

// Refuse returns why r must not forward to o, which has an address; nil if it may.
func (c *OriginCheck) Refuse(r *Route, o Origin) error {
	if err := checkDialable(o.Addr.String(), o.Addr); err != nil {
		return err
	}
	if r.Transparent && o.Addr.IsLoopback() {
		return fmt.Errorf("it is on this host and would answer the clients of a transparent route directly")
	}
	for bits := range o.Addr.BitLen() {
		prefix, _ := o.Addr.Prefix(bits)
		for _, owner := range c.owners.at(prefix) {
			return fmt.Errorf("route %q (line %d) serves %s, which covers it, so this host cannot reach it: leave the address out there", owner.Name, owner.Line, prefix)
		}
	}
	for _, other := range c.routes {
		for _, egress := range other.EgressPrefixes {
			if egress.Contains(o.Addr) {
				return fmt.Errorf("egress prefix %s of route %q (line %d) covers it, so this host cannot reach it: leave the address out there", egress, other.Name, other.Line)
			}
		}
	}
	return c.refuseLoop(r, o)
}

func (c *OriginCheck) refuseLoop(r *Route, o Origin) error {
	if !c.owners.named(host(o.Addr)) {
		return nil
	}
	for _, protocol := range r.Protocols {
		if port, taker := c.owners.loop(r, o, protocol); taker != nil {
			return fmt.Errorf("it is a loop: route %q (line %d) takes %s port %d of it back into the proxy", taker.Name, taker.Line, protocol, port)
		}
	}
	return nil
}

// Named reports whether an origin of the routes is given by a DNS name.
func Named(routes []*Route) bool {
	for _, r := range routes {
		for _, o := range r.Origins {
			if o.Host != "" {
				return true
			}
		}
	}
	return false
}

// Dials reports whether r can dial an address of the family of addr: with source or egress_prefixes, it
// needs one of the same family there.
func (r *Route) Dials(addr netip.Addr) bool {
	if len(r.Source) == 0 && len(r.EgressPrefixes) == 0 {
		return true
	}
	for _, s := range r.Source {
		if s.Is4() == addr.Is4() {
			return true
		}
	}
	for _, p := range r.EgressPrefixes {
		if p.Addr().Is4() == addr.Is4() {
			return true
		}
	}
	return false
}
