package table

import (
	"net/netip"
	"slices"

	"anyport/config"
)

// Decision is the verdict for one client and one dst, and whose it is.
type Decision struct {
	Verdict Verdict
	Route   *config.Route    // nil: no route takes dst
	Prefix  netip.Prefix     // of the route; of the table when Route is nil; zero when no prefix holds dst
	Ports   config.PortRange // as the route has it in the file; zero when Route is nil
}

// Lookup returns the route that forwards dst, or nil when nothing does. A route to a service
// with origins forwards while the service is away.
// It does not look at the client: see Decide.
func (t *Table) Lookup(protocol config.Protocol, dst netip.AddrPort) *config.Route {
	b := t.find(protocol, dst)
	if b != nil && (b.Verdict == Steer || b.Verdict == Socket && b.Away == Steer) {
		return b.Route
	}
	return nil
}

// Passes reports whether the kernel hands packets for dst to the host's own sockets. That is not so in
// retired prefixes of a table in service: see [Table.WithRetired].
func (t *Table) Passes(protocol config.Protocol, dst netip.AddrPort) bool {
	b := t.find(protocol, dst)
	return b == nil || b.Verdict == Pass
}

// Decide returns what becomes of the first packet from client to dst at a time when the route is in
// force. An invalid client stands for one that every route admits.
func (t *Table) Decide(protocol config.Protocol, dst netip.AddrPort, client netip.Addr) Decision {
	b := t.find(protocol, dst)
	d := b.decide(client)
	switch {
	case b == nil:
	case b.Route == nil:
		d.Prefix = t.served(dst.Addr())
	default:
		d.Prefix = longestCovering(b.Route, dst.Addr().Unmap())
		d.Ports, _ = narrowest(b.Route.Ports, dst.Port())
	}
	return d
}

// Judge is Decide without the prefix and the ports, which are searched among all that the route has. served is
// whether a prefix holds dst.
func (t *Table) Judge(protocol config.Protocol, dst netip.AddrPort, client netip.Addr) (d Decision, served bool) {
	b := t.find(protocol, dst)
	return b.decide(client), b != nil
}

// decide is the verdict for a client; b is nil where no prefix holds the dst.
func (b *Binding) decide(client netip.Addr) Decision {
	if b == nil {
		return Decision{Verdict: Pass}
	}
	d := Decision{Verdict: b.Verdict, Route: b.Route}
	if b.Route != nil && client.IsValid() && !b.Clients.Admits(client) {
		d.Verdict = Deny
	}
	return d
}

// find returns the binding of dst, nil where no prefix holds it.
func (t *Table) find(protocol config.Protocol, dst netip.AddrPort) *Binding {
	p, ok := t.prefixes.Lookup(dst.Addr().Unmap())
	if !ok {
		p, ok = t.retired.Lookup(dst.Addr().Unmap())
	}
	if !ok {
		return nil
	}
	switch protocol {
	case config.TCP:
		return t.bound(p.TCP, dst.Port())
	case config.UDP:
		return t.bound(p.UDP, dst.Port())
	}
	return nil
}

// bound returns the binding of port in s; where that has none, it refuses.
func (t *Table) bound(s Segment, port uint16) *Binding {
	if s.Count == 0 {
		return &Binding{Rules: Rules{Verdict: Refuse}}
	}
	return &t.bindings[at(t.intervals[s.Offset:s.Offset+s.Count], port)]
}

// at returns the binding of the last interval that begins at or before port.
func at(intervals []Interval, port uint16) uint32 {
	i, found := slices.BinarySearchFunc(intervals, port, func(v Interval, p uint16) int {
		return int(v.First) - int(p)
	})
	if !found {
		i--
	}
	return intervals[i].Binding
}

// served returns the longest prefix of the table that holds addr.
func (t *Table) served(addr netip.Addr) netip.Prefix {
	host := addr.Unmap()
	prefix, _, _ := t.prefixes.LookupPrefixLPM(netip.PrefixFrom(host, host.BitLen()))
	return prefix
}

// longestCovering returns the longest prefix of route that holds addr, or the zero prefix.
func longestCovering(route *config.Route, addr netip.Addr) netip.Prefix {
	var longest netip.Prefix
	for _, p := range route.Prefixes {
		if p.Contains(addr) && (!longest.IsValid() || p.Bits() > longest.Bits()) {
			longest = p
		}
	}
	return longest
}

// narrowest returns the narrowest of ranges that holds port.
func narrowest(ranges []config.PortRange, port uint16) (best config.PortRange, ok bool) {
	for _, r := range ranges {
		if r.Contains(port) && (!ok || r.Width() < best.Width()) {
			best, ok = r, true
		}
	}
	return best, ok
}
