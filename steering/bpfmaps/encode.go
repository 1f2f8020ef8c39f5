package bpfmaps

import (
	"encoding/binary"
	"net/netip"

	"anyport/bpf"
	"anyport/steering/table"
)

// A trie's keys count what stands before the address into their length.
const exact = 32

func SourceKey(list uint32, p netip.Prefix) bpf.SteerSource {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return bpf.SteerSource{Prefixlen: exact + uint32(bits), List: list, Addr: AddrWords(p.Addr())}
}

// AddrWords returns the 128 bits of addr, IPv4 as ::ffff:a.b.c.d, in network byte order.
func AddrWords(addr netip.Addr) (w [4]uint32) {
	bytes := addr.As16()
	for i := range w {
		w[i] = binary.NativeEndian.Uint32(bytes[4*i:])
	}
	return w
}

// bits returns the prefix of a trie's key, with an IPv4-mapped one as IPv4.
func bits(addr []uint32, prefixlen uint32) netip.Prefix {
	var bytes []byte
	for _, w := range addr {
		bytes = binary.NativeEndian.AppendUint32(bytes, w)
	}
	a, _ := netip.AddrFromSlice(bytes)
	n := int(prefixlen) - exact
	if a.Is4In6() && n >= 96 {
		a, n = a.Unmap(), n-96
	}
	return netip.PrefixFrom(a, n)
}

func Flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// VerdictCode returns the number of v in steer.bpf.c; what it does not know refuses.
func VerdictCode(v table.Verdict) bpf.SteerVerdict {
	for code, word := range Verdicts {
		if word == v {
			return bpf.SteerVerdict(code)
		}
	}
	return bpf.SteerVerdictREFUSE
}

var Verdicts = [bpf.SteerVerdictVERDICTS]table.Verdict{
	bpf.SteerVerdictREFUSE: table.Refuse, bpf.SteerVerdictDROP: table.Drop, bpf.SteerVerdictPASS: table.Pass,
	bpf.SteerVerdictSTEER: table.Steer, bpf.SteerVerdictDENY: table.Deny, bpf.SteerVerdictLIMIT: table.Limit,
}

// encodeTerms returns what the program reads of a binding, but for its route and sources.
func encodeTerms(t table.Rules) bpf.SteerBinding {
	return bpf.SteerBinding{
		Verdict:   VerdictCode(t.Verdict),
		Denied:    VerdictCode(t.Denied),
		NewConns:  uint64(t.NewConnSpacing),
		Datagrams: uint64(t.DatagramSpacing),
		FlowIdle:  uint64(t.FlowIdle),
		Mirrors:   Flag(t.MirrorsClosed),
	}
}
