package ruleset

import (
	"net/netip"
	"slices"
)

// Condition holds if all atoms of one of its tuples do; Not turns that round. Most have one tuple of
// one atom; nftables' concatenations and the sets of ipset have many tuples of several.
type Condition struct {
	Not bool
	Any [][]Atom

	// Set by prepare, because sets have tens of thousands of tuples and ranges.
	named named
	index *index // of Any; nil: all are asked
}

// Field is what an atom looks at.
type Field uint8

// The fields, with the part of Atom that each uses.
const (
	Family            Field = iota // Numbers: 4, 6
	Protocol                       // Numbers: 6, 17
	Source                         // Addresses
	Destination                    // Addresses
	SourcePort                     // Numbers
	DestinationPort                // Numbers
	Interface                      // Names, the one that a packet arrived on; "eth+" and "eth*" stand for all that begin so
	PacketMark                     // Numbers after Mask is applied
	ConnState                      // Names: new, established, related, invalid, untracked
	LocalDestination               // dst is an address of this host (addrtype, fib)
	TransparentSocket              // a socket with IP_TRANSPARENT takes the packet already: established conns
)

// Atom asks for one field of a packet to be one of the values.
type Atom struct {
	Field     Field
	Addresses []AddressRange
	Numbers   []Range
	Mask      uint32 // PacketMark; 0: all bits
	Names     []string

	sorted bool // Addresses are, and do not overlap: see sortAddresses
}

// AddressRange is a range of addresses of one family, both ends included.
type AddressRange struct{ First, Last netip.Addr }

// Packet is what the rules see of the first packet of a conn or flow.
type Packet struct {
	Protocol    uint8 // 6, 17
	Source      netip.AddrPort
	Destination netip.AddrPort
	Interface   string
	Mark        uint32
	Local       bool // dst is an address of this host
}

// Holds reports whether the condition does for p.
func (c Condition) Holds(p Packet) bool {
	if c.index != nil {
		return c.index.candidates(p, func(i int) bool { return allHold(c.Any[i], p) }) != c.Not
	}
	return slices.ContainsFunc(c.Any, func(tuple []Atom) bool { return allHold(tuple, p) }) != c.Not
}

func allHold(tuple []Atom, p Packet) bool {
	return !slices.ContainsFunc(tuple, func(a Atom) bool { return !a.holds(p) })
}

// holds reports whether p has one of the values. The first packet of a conn is of the state new, and
// no socket has it.
func (a Atom) holds(p Packet) bool {
	switch a.Field {
	case Family:
		return a.number(map[bool]uint32{true: 4, false: 6}[p.Destination.Addr().Is4()])
	case Protocol:
		return a.number(uint32(p.Protocol))
	case Source:
		return a.address(p.Source.Addr())
	case Destination:
		return a.address(p.Destination.Addr())
	case SourcePort:
		return a.number(uint32(p.Source.Port()))
	case DestinationPort:
		return a.number(uint32(p.Destination.Port()))
	case Interface:
		return a.name(p.Interface)
	case PacketMark:
		if a.Mask != 0 {
			return a.number(p.Mark & a.Mask)
		}
		return a.number(p.Mark)
	case ConnState:
		return a.name("new")
	case LocalDestination:
		return p.Local
	}
	return false
}

// number: few ranges, so a search would not be faster.
func (a Atom) number(n uint32) bool {
	return slices.ContainsFunc(a.Numbers, func(r Range) bool { return r.First <= n && n <= r.Last })
}

// sortAddresses makes long lists, as those of sets, fast to search.
func (a *Atom) sortAddresses() {
	if a.sorted || len(a.Addresses) < 16 {
		return
	}
	all := slices.Clone(a.Addresses)
	slices.SortFunc(all, func(a, b AddressRange) int { return a.First.Compare(b.First) })
	merged := all[:1]
	for _, r := range all[1:] {
		last := &merged[len(merged)-1]
		if r.First.BitLen() != last.Last.BitLen() || r.First.Compare(last.Last) > 0 {
			merged = append(merged, r)
		} else if r.Last.Compare(last.Last) > 0 {
			last.Last = r.Last
		}
	}
	a.Addresses, a.sorted = merged, true
}

// address: sorted ranges do not overlap, so the first one whose end is not before ip is the only candidate. netip sorts
// all IPv4 addresses before IPv6 ones.
func (a Atom) address(ip netip.Addr) bool {
	if a.sorted {
		i, _ := slices.BinarySearchFunc(a.Addresses, ip, func(r AddressRange, ip netip.Addr) int { return r.Last.Compare(ip) })
		return i < len(a.Addresses) && a.Addresses[i].First.BitLen() == ip.BitLen() && a.Addresses[i].First.Compare(ip) <= 0
	}
	return slices.ContainsFunc(a.Addresses, func(r AddressRange) bool {
		return r.First.BitLen() == ip.BitLen() && r.First.Compare(ip) <= 0 && ip.Compare(r.Last) <= 0
	})
}

// name: "+" is how iptables, "*" how nftables writes that any end will do.
func (a Atom) name(name string) bool {
	return slices.ContainsFunc(a.Names, func(n string) bool {
		if last := len(n) - 1; last >= 0 && (n[last] == '+' || n[last] == '*') {
			return len(name) >= last && name[:last] == n[:last]
		}
		return n == name
	})
}
