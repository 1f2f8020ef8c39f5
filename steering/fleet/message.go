package fleet

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"anyport/bpf"
)

// What user space of one host sends to that of another: a header as in fleet.h, and a body of the size of
// a conn. The programs check the tag of all that arrives, and pass these messages to the socket.
//
//	 0  version, kind, family (0), hops (1)
//	 4  zero
//	 8  tag, little endian
//	16  body: a conn (mine, gone), or a greeting (hello, bye)
const (
	headerSize  = 16
	bodySize    = 36
	messageSize = headerSize + bodySize
	version     = 1
	hops        = 1
)

// body is what a message says. That of mine and gone is the conn as the maps have it.
type body [bodySize]byte

// sealedBytes is struct sealed of fleet.h.
func sealedBytes(kind bpf.FleetMessage, family byte, said body, from netip.Addr) []byte {
	b := append(make([]byte, 0, 64), version, byte(kind), family, hops, 0, 0, 0, 0)
	b = append(append(b, said[:]...), 0, 0, 0, 0)
	source := from.As16()
	return append(b, source[:]...)
}

// encode writes a message of the host with the address from.
func encode(kind bpf.FleetMessage, said body, from netip.Addr, key [16]byte) []byte {
	b := append(make([]byte, 0, messageSize), version, byte(kind), 0, hops, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, sipHash(key, sealedBytes(kind, 0, said, from)))
	return append(b, said[:]...)
}

// decode reads a message that has come from a host. Not ok: it is none, or was not signed with one of the keys.
func decode(b []byte, from netip.Addr, keys ...[16]byte) (kind bpf.FleetMessage, said body, ok bool) {
	if len(b) != messageSize || b[0] != version || binary.BigEndian.Uint16(b[2:]) != hops || binary.BigEndian.Uint32(b[4:]) != 0 {
		return 0, said, false
	}
	kind = bpf.FleetMessage(b[1])
	copy(said[:], b[headerSize:])
	tag := binary.LittleEndian.Uint64(b[8:])
	signed := sealedBytes(kind, 0, said, from)
	return kind, said, slices.ContainsFunc(keys, func(key [16]byte) bool { return tag == sipHash(key, signed) })
}

// greeting is the body of hello and bye. All times are of the clocks of the hosts, which need not agree.
type greeting struct {
	clock time.Time     // the sender's, when it sent this
	heard time.Time     // the receiver's clock, as in its last greeting; zero: the sender has not heard of it
	held  time.Duration // how long ago that was
	mtu   int           // of the sender's device
	moved time.Duration // how long ago the sender drained or announced otherwise; 0: never, or its build does not say
}

// aboutNoConn is a question that no host takes and each kernel answers: a TCP packet to port 0.
func aboutNoConn(from netip.Addr, key [16]byte) []byte {
	none := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	tag := sipHash(key, sealedBytes(bpf.FleetMessageASK, 4, connOf(none, none), from))
	b := append(make([]byte, 0, headerSize+40), version, byte(bpf.FleetMessageASK), 4, hops, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, tag)
	b = append(b, 0x45, 0, 0, 40, 0, 0, 0, 0, innerTTL, unix.IPPROTO_TCP)
	b = append(b, make([]byte, 2+4+4+12)...) // neither checksum, address, port nor number
	return append(b, 0x50, 0x10, 0, 0, 0, 0, 0, 0)
}

func (g greeting) encode() (b body) {
	binary.BigEndian.PutUint64(b[:], uint64(g.clock.UnixNano()))
	if !g.heard.IsZero() {
		binary.BigEndian.PutUint64(b[8:], uint64(g.heard.UnixNano()))
	}
	binary.BigEndian.PutUint64(b[16:], uint64(g.held))
	binary.BigEndian.PutUint32(b[24:], uint32(g.mtu))
	binary.BigEndian.PutUint64(b[28:], uint64(g.moved))
	return b
}

func decodeGreeting(b body) (g greeting) {
	g.clock = time.Unix(0, int64(binary.BigEndian.Uint64(b[:])))
	if heard := binary.BigEndian.Uint64(b[8:]); heard != 0 {
		g.heard = time.Unix(0, int64(heard))
	}
	g.held = time.Duration(binary.BigEndian.Uint64(b[16:]))
	g.mtu = int(binary.BigEndian.Uint32(b[24:]))
	g.moved = max(0, time.Duration(binary.BigEndian.Uint64(b[28:])))
	return g
}
