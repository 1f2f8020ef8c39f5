package fleet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"anyport/bpf"
)

// dice throws states and packets.
type dice struct{ *rand.Rand }

func (d *dice) one(n int) bool { return d.IntN(n) == 0 }

func pick[T any](d *dice, all ...T) T { return all[d.IntN(len(all))] }

// strangers are conns that nobody has here; the last of each family is to a prefix that is not served.
func strangers() (all []tuple) {
	for n := range 4 {
		all = append(all, tuple{netip.MustParseAddrPort(fmt.Sprintf("198.51.100.1:%d", 2000+n)), netip.MustParseAddrPort("203.0.113.5:80")},
			tuple{netip.MustParseAddrPort(fmt.Sprintf("[fd51::1]:%d", 2000+n)), netip.MustParseAddrPort("[2001:db8::5]:80")})
	}
	return append(all, tuple{netip.MustParseAddrPort("198.51.100.1:2000"), netip.MustParseAddrPort("192.0.2.1:80")},
		tuple{netip.MustParseAddrPort("[fd51::1]:2000"), netip.MustParseAddrPort("[2001:db8:0:1::5]:80")},
		tuple{netip.MustParseAddrPort("198.51.100.1:0"), netip.MustParseAddrPort("203.0.113.5:0")},
		tuple{netip.MustParseAddrPort("[fd51::1]:7"), netip.MustParseAddrPort("[2001:db8::5]:0")})
}

func (d *dice) model(b *bench) *model {
	m := &model{
		local: pick(d, netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fd09::1")), mtu: pick(d, 1500, 1500, 1600, 200),
		mac: [6]byte(b.device.HardwareAddr), peers: map[netip.Addr]modelPeer{}, here: map[tuple]bool{},
		learnt: map[tuple]netip.Addr{}, questions: map[tuple]question{}, shed: d.one(8),
		flows: map[tuple]bool{}, moved: map[tuple]movedTo{},
	}
	peer := m.local
	for n := range d.IntN(6) {
		peer = peer.Next()
		p := modelPeer{!d.one(4), d.one(4), [6]byte{2, 0, 0, 0, byte(n), byte(d.IntN(256))}, pick(d, uint8(n), uint8(n), 63-uint8(n))}
		if !d.one(3) {
			m.needed.bits |= 1 << p.bit
		}
		if m.peers[peer] = p; p.alive {
			m.asked = append(m.asked, peer)
		}
	}
	for _, c := range b.here {
		m.here[c] = true
	}
	for _, c := range append(strangers(), b.here...) {
		if d.one(4) {
			m.learnt[c] = pick(d, m.local.Next(), m.local.Next().Next(), netip.MustParseAddr("10.9.0.77"))
		}
		if d.one(3) {
			m.flows[c] = true
		}
		if d.one(3) {
			m.moved[c] = movedTo{pick(d, m.local.Next(), m.local.Next().Next(), netip.MustParseAddr("10.9.0.77")), d.one(3)}
		}
		if d.one(2) {
			m.questions[c] = d.question(m.needed.bits)
		}
	}
	m.needed.over, m.needed.others = d.one(8), d.one(16)
	return m
}

// question is one of the conns whose packets tcpPacket makes.
func (d *dice) question(needed uint64) question {
	bits := func() uint64 { return pick(d, 0, needed, needed, d.Uint64()) }
	q := question{pick(d, young, young, old, ofAnother), d.one(3), pick[uint64](d, 1, 4, 5, 10), bits(), bits(), binary.NativeEndian.Uint32([]byte{5, 6, 7, 8})}
	if d.one(8) {
		q.acknowledged++
	}
	return q
}

// packet is an IP packet of some conn, from the client, or an error about what was sent to it.
func (d *dice) packet(m *model) (b []byte, v4 bool) {
	all := strangers()
	for c := range m.here {
		all = append(all, c)
	}
	c := pick(d, all...)
	if d.one(5) {
		return errorPacket(c, pick[byte](d, 6, 6, 17), pick[byte](d, 1, 2, 3, 4, 11, 12, 128)), c.client.Addr().Is4()
	}
	payload := make([]byte, pick(d, 0, 0, 1, 100, 1300+d.IntN(200)))
	for i := range payload {
		payload[i] = byte(d.Uint32())
	}
	if d.one(3) {
		return udpPacket(c.client, c.dst, payload), c.client.Addr().Is4()
	}
	flags := byte(16)
	if d.one(3) {
		flags = byte(d.Uint32())
	}
	return tcpPacket(c.client, c.dst, flags, payload), c.client.Addr().Is4()
}

// tcpPacket has no checksum: the programs do not look at it.
func tcpPacket(src, dst netip.AddrPort, flags byte, payload []byte) []byte {
	b := ipHeader(src.Addr(), dst.Addr(), 6, 20+len(payload))
	b = binary.BigEndian.AppendUint16(b, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = append(b, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, flags, 9, 9, 0, 0, 0, 0)
	return append(b, payload...)
}

// udpPacket has no checksum, either.
func udpPacket(src, dst netip.AddrPort, payload []byte) []byte {
	b := ipHeader(src.Addr(), dst.Addr(), 17, 8+len(payload))
	b = binary.BigEndian.AppendUint16(b, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

func ipHeader(src, dst netip.Addr, protocol byte, length int) (b []byte) {
	if src.Is4() {
		b = []byte{0x45, 3, 0, 0, 1, 2, 0x40, 0, 63, protocol, 0, 0}
		binary.BigEndian.PutUint16(b[2:], uint16(20+length))
	} else {
		protocol := map[byte]byte{1: 58, 6: 6, 17: 17}[protocol]
		b = []byte{0x60, 1, 2, 3, 0, 0, protocol, 63}
		binary.BigEndian.PutUint16(b[4:], uint16(length))
	}
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	if src.Is4() {
		binary.BigEndian.PutUint16(b[10:], ^onesComplement(b))
	}
	return b
}

// errorPacket is what a router says about a packet of the host to a client.
func errorPacket(c tuple, about, kind byte) []byte {
	quoted := tcpPacket(c.dst, c.client, 16, nil)
	if about == 17 {
		quoted = udpPacket(c.dst, c.client, nil)
	}
	router := netip.MustParseAddr("198.51.100.99")
	if c.dst.Addr().Is6() {
		router = netip.MustParseAddr("fd51::99")
	}
	b := ipHeader(router, c.dst.Addr(), 1, 8+len(quoted))
	return append(append(b, kind, 0, 0, 0, 0, 0, 5, 0), quoted...)
}

// asking is a frame for ask_peers.
func (d *dice) asking(m *model) (frame []byte, train int) {
	packet, v4 := d.packet(m)
	frame = append(ethernet(v4), packet...)
	frame = d.damage(frame, 14)
	if d.one(12) { // too long, for a train that fits does not go through a device as it is
		train = m.mtu
	}
	return frame, train
}

func ethernet(v4 bool) []byte {
	if v4 {
		return append(make([]byte, 12), 8, 0)
	}
	return append(make([]byte, 12), 0x86, 0xdd)
}

// wrapped is a frame for take_asked.
func (d *dice) wrapped(m *model) []byte {
	from := pick(d, m.local.Next(), m.local.Next(), m.local.Next().Next(), m.local)
	packet, v4 := d.packet(m)
	p, _ := parse(packet, v4)
	p.v4 = v4
	kind := pick(d, bpf.FleetMessageASK, bpf.FleetMessageASK, bpf.FleetMessageSTRAIGHT)
	if p.udp != d.one(10) {
		kind = bpf.FleetMessageFLOW
	}
	frame := wrap(packet, kind, p, from, m.local, [6]byte{}, [6]byte{})
	if d.one(6) {
		message := encode(pick(d, bpf.FleetMessageMINE, bpf.FleetMessageGONE, bpf.FleetMessageGONE, bpf.FleetMessageHELLO, bpf.FleetMessageBYE, bpf.FleetMessageSEEK, bpf.FleetMessageHAVE, bpf.FleetMessageLACK),
			bodyOf(p.conn), from, pick(d, key, key, alsoKey, [16]byte{5}))
		frame = frame[:14+Overhead(m.local)-headerSize]
		frame = append(frame, message...)
	}
	if d.one(3) {
		return d.damage(frame, 14+Overhead(m.local)-headerSize)
	}
	return frame
}

// damage makes half of all frames something else. at is where the second part of a frame begins.
func (d *dice) damage(frame []byte, at int) []byte {
	frame = bytes.Clone(frame)
	put := func(i int) { frame[min(i, len(frame)-1)] = byte(d.Uint32()) }
	switch d.IntN(16) {
	case 0: // for another host, of another kind
		put(d.IntN(14))
	case 1: // version, header length
		put(14)
	case 2: // fragments
		put(20 + d.IntN(2))
	case 3, 4: // anything
		put(14 + d.IntN(60))
	case 5, 6:
		put(at + d.IntN(30))
	case 7: // cut off
		frame = frame[:14+d.IntN(len(frame)-13)]
	case 8: // padded
		frame = append(frame, make([]byte, d.IntN(40))...)
	}
	return frame
}
