package client

import "net/netip"

// Prefix lengths, in bits.
const (
	ipv6Client = 64

	ipv4Network = 24
	ipv6Network = 56 // the smallest assignment to a site that RFC 6177 discusses
)

// Of returns the client that an address counts as in limits: an IPv4 address itself, or
// the first address of its IPv6 /64. IPv4-mapped addresses count as IPv4.
func Of(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if addr.Is4() {
		return addr
	}
	return first(addr, ipv6Client)
}

// Network returns the first address of the network that an address belongs to: an IPv4 /24 or an IPv6
// /56. An attacker who forges sources to flood a victim forges them within such a network, because
// the flood has to fill that network's link.
func Network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if addr.Is4() {
		return first(addr, ipv4Network)
	}
	return first(addr, ipv6Network)
}

// first returns the first address of the prefix of that length.
func first(addr netip.Addr, bits int) netip.Addr {
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil { // the zero Addr
		return netip.Addr{}
	}
	return prefix.Addr()
}
