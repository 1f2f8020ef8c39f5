package fleet

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/bpf"
)

// datagram is one of a client, as the proxy has it.
type datagram struct {
	client, dst netip.AddrPort
	tos         uint8 // DSCP and ECN
	payload     []byte
}

// innerTTL is what the packet of a datagram that was held begins with: the first one's is not known.
const innerTTL = 64

const udpHeader = 8

// wrapDatagram is what the socket of the backplane sends for a datagram: a header, and the packet that the
// client might have sent.
func wrapDatagram(d datagram, from netip.Addr, key [16]byte) []byte {
	family := byte(4)
	if !d.client.Addr().Is4() {
		family = 6
	}
	tag := sipHash(key, sealedBytes(bpf.FleetMessageFLOW, family, connOf(d.client, d.dst), from))
	b := append(make([]byte, 0, headerSize+40+udpHeader+len(d.payload)), version, byte(bpf.FleetMessageFLOW), family, hops, 0, 0, 0, 0)
	b = d.appendIP(binary.LittleEndian.AppendUint64(b, tag))
	udp := len(b)
	b = binary.BigEndian.AppendUint16(b, d.client.Port())
	b = binary.BigEndian.AppendUint16(b, d.dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(udpHeader+len(d.payload)))
	b = append(append(b, 0, 0), d.payload...)
	binary.BigEndian.PutUint16(b[udp+6:], d.checksum(b[udp:]))
	return b
}

// appendIP appends the IP header of RFC 791 or RFC 8200.
func (d datagram) appendIP(b []byte) []byte {
	length := udpHeader + len(d.payload)
	client, dst := d.client.Addr(), d.dst.Addr()
	if !client.Is4() {
		b = binary.BigEndian.AppendUint32(b, 6<<28|uint32(d.tos)<<20)
		b = binary.BigEndian.AppendUint16(b, uint16(length))
		b = append(b, unix.IPPROTO_UDP, innerTTL)
		return append(append(b, client.AsSlice()...), dst.AsSlice()...)
	}
	at := len(b)
	b = append(b, 0x45, d.tos)
	b = binary.BigEndian.AppendUint16(b, uint16(20+length))
	b = append(b, 0, 0, 0x40, 0, innerTTL, unix.IPPROTO_UDP, 0, 0) // don't fragment
	b = append(append(b, client.AsSlice()...), dst.AsSlice()...)
	binary.BigEndian.PutUint16(b[at+10:], fold(sum(0, b[at:])))
	return b
}

// checksum is that of UDP with its pseudo-header (RFC 768). 0 would mean that there is none.
func (d datagram) checksum(udp []byte) uint16 {
	s := sum(sum(0, d.client.Addr().AsSlice()), d.dst.Addr().AsSlice())
	if c := fold(sum(s+unix.IPPROTO_UDP+uint64(len(udp)), udp)); c != 0 {
		return c
	}
	return 0xffff
}

// sum adds bytes to a sum of 16-bit words (RFC 1071).
func sum(s uint64, b []byte) uint64 {
	for ; len(b) > 1; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

// connOf is struct conn of fleet.h.
func connOf(client, dst netip.AddrPort) (b body) {
	from, to := client.Addr().As16(), dst.Addr().As16()
	copy(b[:], from[:])
	copy(b[16:], to[:])
	binary.BigEndian.PutUint16(b[32:], client.Port())
	binary.BigEndian.PutUint16(b[34:], dst.Port())
	return b
}
