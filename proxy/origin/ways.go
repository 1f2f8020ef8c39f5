package origin

import (
	"net/netip"
	"time"

	"anyport/proxy/health"
)

// Between the IPv4 and the IPv6 address of one server, the better way is dialled: the one that RFC 6724
// prefers, unless dials by it have failed lately. A way that has failed is tried again after a second,
// or after twice as long as the last time, up to half a minute; one success makes it whole.

// betterWay returns the way to o that is to be dialled, among those that are open.
func (o *Origin) betterWay(open func(*Origin) bool, now time.Time) *Origin {
	if o == nil || o.other == nil {
		return o
	}
	first, second := o, o.other
	if precedence(second.Addr) > precedence(first.Addr) {
		first, second = second, first
	}
	switch {
	case !open(first):
		return second
	case !open(second):
		return first
	case first.failing(now) && !second.failing(now):
		return second
	}
	return first
}

// untriedWay returns the other way to the origin that was tried last: a client stays with its origin
// while one of the two works. It returns nil if there is none, or it was tried too.
func (p *Pool) untriedWay(tried []*Origin) *Origin {
	if len(tried) == 0 || tried[len(tried)-1].other == nil {
		return nil
	}
	last := tried[len(tried)-1:]
	for _, o := range p.Origins {
		if o.isAmong(last) && o.other != nil && !o.other.isAmong(tried) {
			return o.other
		}
	}
	return nil
}

// HasOtherWay reports whether there is another address of the same server that can be dialled next: it
// was not tried, is up, and has not failed lately. Then a dial of o need not wait for long. max_conns
// does not matter: the conn that gives up o leaves its place to its dial of the other address.
func (o *Origin) HasOtherWay(tried []*Origin, now time.Time) bool {
	return o.other != nil && !o.other.isAmong(tried) && !o.other.failing(now) &&
		o.other.Standing() == health.Up
}

// WayFailed notes that a dial of port has failed. RST says nothing about the way if o has many ports:
// any client can ask for one that is closed.
func (o *Origin) WayFailed(port uint16, refused bool, now time.Time) {
	if o.other != nil && (!refused || o.scope(port) == whole) {
		o.counts.ways.add(whole, 1, now)
	}
}

// WayAccepted notes that o has accepted a conn.
func (o *Origin) WayAccepted() {
	if o.other != nil {
		o.counts.ways.forget(whole)
	}
}

// failing reports whether dials of o have failed lately.
func (o *Origin) failing(now time.Time) bool {
	e, _ := o.counts.ways.of(whole)
	return e.Holds(now)
}

// precedences is the policy table of RFC 6724 §2.1, as far as an origin can have such an address.
var precedences = []struct {
	prefix netip.Prefix
	rank   int
}{
	{netip.MustParsePrefix("::1/128"), 50},
	{netip.MustParsePrefix("0.0.0.0/0"), 35}, // there as ::ffff:0:0/96
	{netip.MustParsePrefix("2002::/16"), 30},
	{netip.MustParsePrefix("2001::/32"), 5},
	{netip.MustParsePrefix("fc00::/7"), 3},
	{netip.MustParsePrefix("fec0::/10"), 1},
	{netip.MustParsePrefix("3ffe::/16"), 1},
}

// precedence is the rank of a destination: the higher one is preferred.
func precedence(addr netip.Addr) int {
	for _, p := range precedences {
		if p.prefix.Contains(addr) {
			return p.rank
		}
	}
	return 40
}
