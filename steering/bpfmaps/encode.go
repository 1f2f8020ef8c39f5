package bpfmaps

import (
	"encoding/binary"
	"net/netip"

	"anyport/bpf"
	"anyport/steering/table"
)

// generationBits is the part of each trie's key that must match exactly, before the address: the
// generation, or the number of a list of clients. prefixlen counts it.
const generationBits = 32

// ClientKey is the key of a prefix in allow or deny. IPv4 is written as ::ffff:a.b.c.d.
func ClientKey(list uint32, p netip.Prefix) bpf.SteerSource {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return bpf.SteerSource{Prefixlen: generationBits + uint32(bits), List: list, Addr: AddrWords(p.Addr())}
}

// AddrWords returns the 128 bits of addr, IPv4 as ::ffff:a.b.c.d, in network byte order.
func AddrWords(addr netip.Addr) (w [4]uint32) {
	bytes := addr.As16()
	for i := range w {
		w[i] = binary.NativeEndian.Uint32(bytes[4*i:])
	}
	return w
}

// AddrOfWords is the inverse of [AddrWords].
func AddrOfWords(w [4]uint32) netip.Addr {
	var bytes [16]byte
	for i := range w {
		binary.NativeEndian.PutUint32(bytes[4*i:], w[i])
	}
	return netip.AddrFrom16(bytes).Unmap()
}

// prefixOfKey returns the prefix of a trie's key, with an IPv4-mapped one as IPv4.
func prefixOfKey(addr []uint32, prefixlen uint32) netip.Prefix {
	var bytes []byte
	for _, w := range addr {
		bytes = binary.NativeEndian.AppendUint32(bytes, w)
	}
	a, _ := netip.AddrFromSlice(bytes)
	n := int(prefixlen) - generationBits
	if a.Is4In6() && n >= 96 {
		a, n = a.Unmap(), n-96
	}
	return netip.PrefixFrom(a, n)
}

// Flag is a bool as the program reads it.
func Flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// VerdictOf returns the verdict that steer.bpf.c numbers so. The two types are the same
// things: the program needs small numbers, that index its counters, and Go the words that
// users read. No other function converts them.
func VerdictOf(code bpf.SteerVerdict) table.Verdict {
	return [bpf.SteerVerdictVERDICTS]table.Verdict{
		bpf.SteerVerdictREFUSE: table.Refuse, bpf.SteerVerdictDROP: table.Drop, bpf.SteerVerdictPASS: table.Pass,
		bpf.SteerVerdictSTEER: table.Steer, bpf.SteerVerdictDENY: table.Deny, bpf.SteerVerdictLIMIT: table.Limit,
		bpf.SteerVerdictINACTIVE: table.Inactive, bpf.SteerVerdictSOCKET: table.Socket,
	}[code]
}

// verdictCode is the inverse of [VerdictOf]; a word without a number refuses.
func verdictCode(v table.Verdict) bpf.SteerVerdict {
	for code := range bpf.SteerVerdictVERDICTS {
		if VerdictOf(code) == v {
			return code
		}
	}
	return bpf.SteerVerdictREFUSE
}

// encodeTerms returns what the program reads of a binding, except for its route, clients and hours.
func encodeTerms(t table.Rules) bpf.SteerBinding {
	return bpf.SteerBinding{
		Verdict:   verdictCode(t.Verdict),
		Denied:    verdictCode(t.Denied),
		NewConns:  uint64(t.NewConnSpacing),
		Datagrams: uint64(t.DatagramSpacing),
		FlowIdle:  uint64(t.FlowIdle),
		Away:      verdictCode(t.Away),
		Service:   t.Service.ID(),
		Inactive:  verdictCode(t.Inactive),
		Extras:    extras(t),
	}
}

// extras are the bits that send the program through what most routes do without.
func extras(t table.Rules) (all bpf.SteerExtra) {
	for bit, on := range map[bpf.SteerExtra]bool{
		bpf.SteerExtraMIRRORS:     t.MirrorsClosed,
		bpf.SteerExtraKEEPS_FLOWS: t.KeepsFlows,
		bpf.SteerExtraNEEDS_DOOR:  t.NeedsDoor,
		bpf.SteerExtraTAKES_KNOCK: t.Doorbell,
	} {
		if on {
			all |= bit
		}
	}
	return all
}
