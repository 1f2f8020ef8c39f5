package fastpath

import (
	"encoding/binary"
	"net/netip"
	"time"

	"anyport/bpf"
	"anyport/bpf/fastflow"
	"anyport/steering/bpfmaps"
	"anyport/steering/clock"
)

type (
	key   = bpf.FastFlowKey
	entry = bpf.FastFlowEntry
)

// way is how datagrams leave for one address.
type way struct {
	device int
	mtu    uint16 // of a whole IP packet
}

// entries are what the table has of a flow: an entry for the client's datagrams, and one for the
// origin's. The second has no flow of its own if others have the same source and origin.
type entries struct {
	forth, back        key
	toOrigin, toClient entry
}

// entriesOf describes f to the program. It reads until instead of f.Until.
func entriesOf(f fastflow.Flow, client, origin way, generation uint32, id, until uint64) entries {
	e := entries{forth: keyOf(f.Client, f.Dst), back: keyOf(f.Origin, f.Source)}
	e.toOrigin = entry{
		Own: tagOf(e.forth), To: keyOf(f.Source, f.Origin), Generation: generation, Id: id,
		In: uint32(client.device), InMtu: client.mtu, Out: uint32(origin.device), OutMtu: origin.mtu,
		Puts: uint8(f.Header), Idle: uint64(f.Idle), Until: until,
	}
	e.toClient = entry{
		Own: tagOf(e.back), To: keyOf(f.Dst, f.Client), Generation: generation, Id: id, ToClient: 1,
		In: uint32(origin.device), InMtu: origin.mtu, Out: uint32(client.device), OutMtu: client.mtu,
		Idle: uint64(f.Idle), Until: until,
	}
	if f.Header == fastflow.SPP {
		e.toClient.Takes = uint8(fastflow.SPP)
	}
	if f.SharesSource {
		e.toClient = sharedEntry(e.back)
	}
	return e
}

// sharedEntry says that the header of an answer names its flow.
func sharedEntry(back key) entry { return entry{Own: tagOf(back), ToClient: 1, Shared: 1} }

// untilOf is a moment by the program's clock; 0: there is none.
func untilOf(moment time.Time) uint64 {
	if moment.IsZero() {
		return 0
	}
	wall, boot := clock.Both(time.Now)
	return uint64(max(1, boot+moment.Sub(wall)))
}

// flowOf is the flow whose client's datagrams have k and e, without its end: whoever takes it over decides
// on it again.
func flowOf(k key, e entry, shares bool) fastflow.Flow {
	f := fastflow.Flow{Header: fastflow.Header(e.Puts), SharesSource: shares}
	f.Client, f.Dst = addressesOf(k)
	f.Source, f.Origin = addressesOf(e.To)
	f.Idle = time.Duration(e.Idle)
	return f
}

// keyOf has IPv4 as ::ffff:a.b.c.d.
func keyOf(src, dst netip.AddrPort) key {
	return key{Src: bpfmaps.AddrWords(src.Addr()), Dst: bpfmaps.AddrWords(dst.Addr()), Sport: inverted(src.Port()), Dport: inverted(dst.Port())}
}

// addressesOf is the inverse of keyOf.
func addressesOf(k key) (src, dst netip.AddrPort) {
	return netip.AddrPortFrom(bpfmaps.AddrOfWords(k.Src), inverted(k.Sport)), netip.AddrPortFrom(bpfmaps.AddrOfWords(k.Dst), inverted(k.Dport))
}

// inverted is a port in network byte order, and back.
func inverted(port uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, port))
}

// reversed is what the answer to a datagram with k has.
func reversed(k key) key { return key{Src: k.Dst, Dst: k.Src, Sport: k.Dport, Dport: k.Sport} }

// tagOf is tag_of of fast_packet.h.
func tagOf(k key) uint64 {
	tag := uint64(k.Sport)<<16 | uint64(k.Dport)
	for _, words := range [][2]uint32{{k.Src[0], k.Src[1]}, {k.Src[2], k.Src[3]}, {k.Dst[0], k.Dst[1]}, {k.Dst[2], k.Dst[3]}} {
		tag = (tag ^ (uint64(words[0])<<32 | uint64(words[1]))) * 0x9e3779b97f4a7c15
		tag ^= tag >> 32
	}
	return tag
}
