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
		Own: e.forth, To: keyOf(f.Source, f.Origin), Generation: generation, Id: id,
		In: uint32(client.device), InMtu: client.mtu, Out: uint32(origin.device), OutMtu: origin.mtu,
		Puts: uint8(f.Header), Idle: uint64(f.Idle), Until: until,
	}
	e.toClient = entry{
		Own: e.back, To: keyOf(f.Dst, f.Client), Generation: generation, Id: id, ToClient: 1,
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
func sharedEntry(back key) entry { return entry{Own: back, ToClient: 1, Shared: 1} }

// untilOf is a moment by the program's clock; 0: there is none.
func untilOf(moment time.Time) uint64 {
	if moment.IsZero() {
		return 0
	}
	wall, boot := clock.Both(time.Now)
	return uint64(max(1, boot+moment.Sub(wall)))
}

// flowOf is the flow whose client's datagrams have e, without its end: whoever takes it over decides on it
// again.
func flowOf(e entry, shares bool) fastflow.Flow {
	f := fastflow.Flow{Header: fastflow.Header(e.Puts), SharesSource: shares}
	f.Client, f.Dst = addressesOf(e.Own)
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

// usageOf is what the program has counted, as of now by the program's clock.
func usageOf(counted *bpf.FastFlowUsage, now time.Duration) fastflow.Usage {
	return fastflow.Usage{
		ToOrigin: fastflow.Count{Packets: counted.ToOrigin.Packets, Bytes: counted.ToOrigin.Bytes},
		ToClient: fastflow.Count{Packets: counted.ToClient.Packets, Bytes: counted.ToClient.Bytes},
		Quiet:    max(0, now-time.Duration(counted.Last)),
	}
}
