package steering

import (
	"encoding/binary"
	"net/netip"

	"anyport/bpf"
)

// A trie's keys count what stands before the address into their length.
const exact = 32

func sourceKey(list uint32, p netip.Prefix) bpf.SteerSource {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return bpf.SteerSource{Prefixlen: exact + uint32(bits), List: list, Addr: words(p.Addr())}
}

// words returns the 128 bits of addr, IPv4 as ::ffff:a.b.c.d, in network byte order.
func words(addr netip.Addr) (w [4]uint32) {
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

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// verdictCode returns the number of v in steer.bpf.c; what it does not know refuses.
func verdictCode(v Verdict) bpf.SteerVerdict {
	for code, word := range verdictWords {
		if word == v {
			return bpf.SteerVerdict(code)
		}
	}
	return bpf.SteerVerdictREFUSE
}

var verdictWords = [bpf.SteerVerdictVERDICTS]Verdict{
	bpf.SteerVerdictREFUSE: Refuse, bpf.SteerVerdictDROP: Drop, bpf.SteerVerdictPASS: Pass,
	bpf.SteerVerdictSTEER: Steer, bpf.SteerVerdictDENY: Deny, bpf.SteerVerdictLIMIT: Limit,
}

// encodeTerms returns what the program reads of a binding, but for its route and sources.
func encodeTerms(t terms) bpf.SteerBinding {
	return bpf.SteerBinding{
		Verdict:   verdictCode(t.verdict),
		Denied:    verdictCode(t.denied),
		NewConns:  uint64(t.newConns),
		Datagrams: uint64(t.datagrams),
		FlowIdle:  uint64(t.flowIdle),
		Mirrors:   flag(t.mirrors),
	}
}
