package fastpath

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"anyport/bpf/fastflow"
)

// The model says what forward_admitted should do with a frame. It is written from what the program
// promises, slowly and without regard to how the program does it.

// verdicts of tc, linux/pkt_cls.h.
const (
	passUp   = 0xffffffff // TC_ACT_UNSPEC
	redirect = 7          // TC_ACT_REDIRECT
)

// model is the state of the tables.
type model struct {
	flows      []modelFlow
	generation uint32
	sinceBoot  uint64
	inMany     int // how many flows have entries in the large table, which decides nothing
}

// modelFlow is one admitted flow.
type modelFlow struct {
	fastflow.Flow
	generation     uint32
	client, origin way
	quiet          [2]uint64 // since the last datagram to the origin, and to the client
	id             uint64
	until          uint64 // by the clock since the boot; 0: there is no end
}

// arrival is a frame with what the kernel knows of it besides.
type arrival struct {
	frame  []byte
	device int
	train  int // size of each datagram of a train; 0: it is none
}

// outcome is what becomes of it.
type outcome struct {
	verdict  uint32
	frame    []byte
	flow     *modelFlow // that counts it; nil: none does
	toClient bool
	payload  int // counted bytes
}

// datagram is what there is in a frame.
type datagram struct {
	src, dst netip.AddrPort
	ttl      byte
	v4       bool
	payload  []byte
}

func (m *model) judge(a arrival) outcome {
	up := outcome{verdict: passUp, frame: a.frame}
	d, ok := parse(a.frame)
	if !ok || d.ttl <= 1 || d.src.Port() == 0 || d.dst.Port() == 0 {
		return up
	}
	f, toClient := m.find(d)
	if f == nil || f.generation != m.generation || f.until != 0 && m.sinceBoot >= f.until || min(f.quiet[0], f.quiet[1]) > uint64(f.Idle) {
		return up
	}
	in, out := f.client, f.origin
	put, take := headerOf(f.Flow), []byte(nil)
	src, dst := f.Source, f.Origin
	if toClient {
		in, out = out, in
		src, dst = f.Dst, f.Client
		put = nil
		if f.Header == fastflow.SPP {
			take = headerOf(f.Flow)
		}
	}
	payload, whole := bytes.CutPrefix(d.payload, take)
	if !whole || a.device != in.device {
		return up
	}
	headers := 28
	if !d.v4 {
		headers = 48
	}
	sent := len(payload) + len(put)
	if a.train > 0 {
		if len(put)+len(take) > 0 || len(a.frame) != 14+headers+len(payload) {
			return up
		}
		sent = a.train
	}
	if headers+sent > int(out.mtu) {
		return up
	}
	return outcome{redirect, rewrite(a.frame, src, dst, append(put, payload...), headers), f, toClient, len(payload)}
}

// find returns the flow that d belongs to.
func (m *model) find(d datagram) (found *modelFlow, toClient bool) {
	for i := range m.flows {
		f := &m.flows[i]
		if d.src == f.Client && d.dst == f.Dst {
			return f, false
		}
		if d.src == f.Origin && d.dst == f.Source && (!f.SharesSource || bytes.HasPrefix(d.payload, headerOf(f.Flow))) {
			return f, true
		}
	}
	return nil, false
}

// parse wants nothing but an IP header, a UDP header, and lengths that agree.
func parse(frame []byte) (d datagram, ok bool) {
	if len(frame) < 14 || !bytes.Equal(frame[:6], make([]byte, 6)) { // the address of lo
		return d, false
	}
	var src, dst netip.Addr
	var udp []byte
	ip := frame[14:]
	switch kind := binary.BigEndian.Uint16(frame[12:]); {
	case kind == 0x0800 && len(ip) >= 28 && ip[0] == 0x45 && ip[9] == 17 && binary.BigEndian.Uint16(ip[6:])&0x3fff == 0:
		src, dst = netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
		total := int(binary.BigEndian.Uint16(ip[2:]))
		if total < 28 || total > len(ip) {
			return d, false
		}
		d.v4, d.ttl, udp = true, ip[8], ip[20:total]
	case kind == 0x86dd && len(ip) >= 48 && ip[0]>>4 == 6 && ip[6] == 17:
		src, dst = netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
		total := 40 + int(binary.BigEndian.Uint16(ip[4:]))
		if total < 48 || total > len(ip) {
			return d, false
		}
		d.ttl, udp = ip[7], ip[40:total]
	default:
		return d, false
	}
	if int(binary.BigEndian.Uint16(udp[4:])) != len(udp) || !d.v4 && udp[6] == 0 && udp[7] == 0 {
		return d, false
	}
	d.src, d.dst = netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp)), netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:]))
	d.payload = udp[8:]
	return d, true
}

// rewrite is the frame with other addresses and another payload.
func rewrite(frame []byte, src, dst netip.AddrPort, payload []byte, headers int) []byte {
	old := frame[14:]
	ip := append(bytes.Clone(old[:headers]), payload...)
	udp := ip[headers-8:]
	binary.BigEndian.PutUint16(udp, src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	if headers == 28 {
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
		ip[8]--
		copy(ip[12:], src.Addr().AsSlice())
		copy(ip[16:], dst.Addr().AsSlice())
		old = old[:binary.BigEndian.Uint16(old[2:])]
		renew(ip[10:], old[:20], ip[:20])
	} else {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(udp)))
		ip[7]--
		copy(ip[8:], src.Addr().AsSlice())
		copy(ip[24:], dst.Addr().AsSlice())
		old = old[:40+int(binary.BigEndian.Uint16(old[4:]))]
	}
	if udp[6] != 0 || udp[7] != 0 {
		renew(udp[6:], covered(old, headers), covered(ip, headers))
		if udp[6] == 0 && udp[7] == 0 {
			udp[6], udp[7] = 0xff, 0xff
		}
	}
	return append(bytes.Clone(frame[:14]), ip...)
}

// covered is what the checksum of UDP covers: addresses, length, protocol, and all of UDP.
func covered(ip []byte, headers int) []byte {
	udp := ip[headers-8:]
	addresses := ip[12:20]
	if headers == 48 {
		addresses = ip[8:40]
	}
	b := append(bytes.Clone(addresses), 0, 17, 0, 0)
	binary.BigEndian.PutUint16(b[len(b)-2:], uint16(len(udp)))
	return append(b, udp...)
}

// renew makes the checksum in after, which both begin with the same value of, as right or as wrong as
// it was in before.
func renew(checksum, before, after []byte) {
	sum := binary.BigEndian.Uint16(checksum)
	wrong := onesComplement(before)                     // 0xffff: it was right
	now := onesComplement(after)                        // with the checksum of before
	fixed := uint32(sum) + uint32(wrong) + uint32(^now) // what has to come is added
	fixed = fixed&0xffff + fixed>>16
	binary.BigEndian.PutUint16(checksum, uint16(fixed&0xffff+fixed>>16))
}

// onesComplement is the sum of RFC 1071.
func onesComplement(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i]) << 8
		if i+1 < len(b) {
			sum += uint32(b[i+1])
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
