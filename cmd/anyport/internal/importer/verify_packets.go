package importer

import (
	"net/netip"
	"slices"

	"anyport/cmd/anyport/internal/ruleset"
)

// collect finds the boundaries of the rules: a fault is likeliest there.
func (v *verifier) collect() {
	f := v.compiler.fields
	addresses := func(lists ...[]span[netip.Addr]) (all []netip.Addr) {
		for _, list := range lists {
			for _, s := range list {
				all = append(all, s.first, s.last, s.first.Prev(), s.last.Next())
			}
		}
		return slices.DeleteFunc(all, func(ip netip.Addr) bool { return !ip.IsValid() })
	}
	ports := func(lists [][]span[uint16]) (all []uint16) {
		for _, list := range lists {
			for _, s := range list {
				all = append(all, s.first, s.last, s.first-1, s.last+1)
			}
		}
		return append(all, 1, 65535)
	}
	v.dsts = addresses(append(slices.Clone(f.destination), prefixSpans(v.options.Prefixes), prefixSpans(v.options.Local))...)
	v.sources = addresses(f.source...)
	v.ports, v.sourcePorts = ports(f.destinationPort), ports(f.sourcePort)
}

// packet is one of the interfaces that were imported. Port 0 does not exist on the wire.
func (v *verifier) packet() ruleset.Packet {
	dst := v.address(v.dsts, false)
	p := ruleset.Packet{
		Protocol:    uint8(protocols[v.random.IntN(2)]),
		Destination: netip.AddrPortFrom(dst, max(1, v.port(v.ports))),
		Source:      netip.AddrPortFrom(v.address(v.sources, true, dst), max(1, v.port(v.sourcePorts))),
		Interface:   v.arriving[v.random.IntN(len(v.arriving))],
	}
	locals := v.compiler.locals(dst)
	p.Local = locals[v.random.IntN(len(locals))]
	return p
}

// address is near a boundary most of the time, and of the family of peer.
func (v *verifier) address(near []netip.Addr, paired bool, peer ...netip.Addr) netip.Addr {
	is4 := v.random.IntN(4) > 0
	if paired {
		is4 = peer[0].Is4()
	}
	for range 8 {
		if len(near) == 0 || v.random.IntN(16) == 0 {
			break
		}
		ip := near[v.random.IntN(len(near))]
		if paired && ip.Is4() != is4 {
			continue
		}
		if v.random.IntN(2) == 0 {
			return v.scatter(ip)
		}
		return ip
	}
	if is4 {
		return netip.AddrFrom4([4]byte{byte(v.random.IntN(256)), byte(v.random.IntN(256)), byte(v.random.IntN(256)), byte(v.random.IntN(256))})
	}
	return v.scatter(netip.MustParseAddr("2001:db8::"))
}

// scatter changes the lower bits of an address.
func (v *verifier) scatter(ip netip.Addr) netip.Addr {
	b := ip.AsSlice()
	for i := range v.random.IntN(len(b)) {
		b[len(b)-1-i] = byte(v.random.IntN(256))
	}
	scattered, _ := netip.AddrFromSlice(b)
	return scattered
}

// port is near a bound of the rules two times out of three, since faults lie there, and else any.
func (v *verifier) port(near []uint16) uint16 {
	if v.random.IntN(3) == 0 {
		return uint16(v.random.IntN(65536))
	}
	return near[v.random.IntN(len(near))]
}
