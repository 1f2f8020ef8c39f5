package fleet

import (
	"encoding/binary"
	"net/netip"

	"anyport/bpf"
)

// What the programs return (linux/pkt_cls.h).
const unspec, okay, shot = 1<<32 - 1, 0, 2

// tuple is a conn.
type tuple struct{ client, dst netip.AddrPort }

// model does in Go what the programs do.
type model struct {
	local     netip.Addr
	mtu       int
	mac       [6]byte
	peers     map[netip.Addr]modelPeer
	asked     []netip.Addr
	here      map[tuple]bool
	learnt    map[tuple]netip.Addr
	questions map[tuple]question
	needed    needed
	flows     map[tuple]bool // of UDP, that are here
	moved     map[tuple]movedTo
	shed      bool // no question is allowed
}

// movedTo is which peer has a UDP flow.
type movedTo struct {
	peer  netip.Addr
	stale bool
}

type modelPeer struct {
	alive, quiet bool
	mac          [6]byte
	bit          uint8
}

// needed are the peers whose words are enough.
type needed struct {
	bits   uint64
	over   bool // user space does not run
	others bool // bits in questions are those of other peers
}

// question is one about a conn.
type question struct {
	age                 age
	just                bool // a peer has denied the conn first: no word counts twice yet
	times               uint64
	denied, deniedAgain uint64
	acknowledged        uint32
}

// age is how long ago a conn was asked for first.
type age int

const (
	young     age = iota // too short for it to be in vain
	old                  // in vain
	ofAnother            // conn, with the same ports
)

// outcome is what becomes of a packet.
type outcome struct {
	verdict uint32
	sent    [][]byte // to the backplane
	frame   []byte   // that goes on to the stack
	counter bpf.FleetCounter
	event   bpf.FleetMessage // 0: none
}

const noCounter = bpf.FleetCounterCOUNTERS

func pass(frame []byte) outcome { return outcome{verdict: unspec, frame: frame, counter: noCounter} }

// inner is what a client's packet says.
type inner struct {
	conn       tuple
	v4         bool
	udp, error bool
	syn        bool
	headers    int
	beginning  int    // of the IP header, and 20 bytes
	ack        uint32 // as stored
}

func isServed(a netip.Addr) bool { return served4.Contains(a) || served6.Contains(a) }

func addr4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }
func addr6(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b)) }
func port(b []byte) uint16      { return binary.BigEndian.Uint16(b) }

// parse reads an IP packet. Slices out of range mean that it is too short.
func parse(b []byte, v4 bool) (p inner, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	p.v4, p.beginning = v4, 40+20
	var rest []byte
	var src, dst netip.Addr
	var protocol byte
	if v4 {
		length := int(b[0]&15) * 4
		if b[0]>>4 != 4 || length < 20 || port(b[6:])&0x3fff != 0 {
			return p, false
		}
		src, dst, protocol, rest = addr4(b[12:16]), addr4(b[16:20]), b[9], b[length:]
		p.beginning = length + 20
	} else {
		if b[0]>>4 != 6 {
			return p, false
		}
		src, dst, protocol, rest = addr6(b[8:24]), addr6(b[24:40]), b[6], b[40:]
	}
	switch protocol {
	case 6:
		_ = rest[19]
		p.syn, p.ack = rest[13]&2 != 0, binary.NativeEndian.Uint32(rest[8:])
		p.headers = len(b) - len(rest) + int(rest[12]>>4)*4
		p.conn = tuple{netip.AddrPortFrom(src, port(rest)), netip.AddrPortFrom(dst, port(rest[2:]))}
		return p, true
	case 17:
		_ = rest[7]
		p.udp, p.headers = true, len(b)-len(rest)+8
		p.conn = tuple{netip.AddrPortFrom(src, port(rest)), netip.AddrPortFrom(dst, port(rest[2:]))}
		return p, true
	case 1:
		if kind := rest[0]; !v4 || kind != 3 && kind != 11 && kind != 12 {
			return p, false
		}
	case 58:
		if v4 || rest[0] >= 128 {
			return p, false
		}
	default:
		return p, false
	}
	p.error = true
	q := rest[8:]
	var from, to netip.Addr
	if v4 {
		_ = q[19]
		from, to, protocol = addr4(q[12:16]), addr4(q[16:20]), q[9]
		if port(q[6:])&0x1fff != 0 {
			return p, false
		}
		q = q[int(q[0]&15)*4:]
	} else {
		from, to, protocol, q = addr6(q[8:24]), addr6(q[24:40]), q[6], q[40:]
	}
	_ = q[3]
	p.udp = protocol == 17
	p.conn = tuple{netip.AddrPortFrom(to, port(q[2:])), netip.AddrPortFrom(from, port(q))}
	return p, (protocol == 6 || protocol == 17) && from == dst
}

// ask is ask_peers. It notes what it changes. train is the size of a train's segments, or 0.
func (m *model) ask(frame []byte, train int) outcome {
	kind := port(frame[12:])
	if [6]byte(frame[:6]) != [6]byte{} || len(m.asked) == 0 || kind != 0x0800 && kind != 0x86dd {
		return pass(frame)
	}
	p, ok := parse(frame[14:], kind == 0x0800)
	if !ok || !isServed(p.conn.dst.Addr()) {
		return pass(frame)
	}
	if p.udp {
		to := m.moved[p.conn]
		if to.stale || !m.peers[to.peer].alive {
			return pass(frame)
		}
		return m.forward(frame, p, train, bpf.FleetMessageFLOW, []netip.Addr{to.peer}, bpf.FleetCounterCOUNT_STRAIGHT)
	}
	if p.syn {
		delete(m.learnt, p.conn)
		delete(m.questions, p.conn)
		return pass(frame)
	}
	if to, ok := m.learnt[p.conn]; ok && m.peers[to].alive && !m.peers[to].quiet {
		return m.forward(frame, p, train, bpf.FleetMessageSTRAIGHT, []netip.Addr{to}, bpf.FleetCounterCOUNT_STRAIGHT)
	}
	if m.here[p.conn] {
		return pass(frame)
	}
	if m.shed {
		return outcome{verdict: unspec, frame: frame, counter: bpf.FleetCounterCOUNT_SHED}
	}
	if why := m.giveUp(p); why != noCounter {
		return outcome{verdict: unspec, frame: frame, counter: why}
	}
	return m.forward(frame, p, train, bpf.FleetMessageASK, m.asked, bpf.FleetCounterCOUNT_ASKED)
}

// giveUp notes a question.
func (m *model) giveUp(p inner) bpf.FleetCounter {
	q, known := m.questions[p.conn]
	if !known || q.age == ofAnother || m.needed.others || !p.error && p.ack != q.acknowledged {
		m.questions[p.conn] = question{times: 1, acknowledged: p.ack}
		return noCounter
	}
	q.times++
	m.questions[p.conn] = q
	switch {
	case m.needed.bits != 0 && !m.needed.over && q.deniedAgain&m.needed.bits == m.needed.bits:
		return bpf.FleetCounterCOUNT_DENIED
	case q.age == old && q.times > 5:
		return bpf.FleetCounterCOUNT_GIVEN_UP
	}
	return noCounter
}

func (m *model) forward(frame []byte, p inner, train int, kind bpf.FleetMessage, to []netip.Addr, counter bpf.FleetCounter) outcome {
	longest := len(frame) - 14
	if train > 0 {
		longest = train + p.headers
	}
	if longest+Overhead(m.local) > m.mtu {
		return outcome{verdict: shot, counter: bpf.FleetCounterCOUNT_TOO_LONG}
	}
	o := outcome{verdict: shot, counter: counter}
	for _, a := range to {
		o.sent = append(o.sent, wrap(frame[14:], kind, p, m.local, a, m.mac, m.peers[a].mac))
	}
	return o
}

// wrap writes a whole frame of the backplane.
func wrap(packet []byte, kind bpf.FleetMessage, p inner, from, to netip.Addr, fromMAC, toMAC [6]byte) []byte {
	family := byte(6)
	if p.v4 {
		family = 4
	}
	return wrapAs(packet, kind, family, p.conn, from, to, fromMAC, toMAC)
}

// wrapAs is wrap of anything that is about a conn.
func wrapAs(packet []byte, kind bpf.FleetMessage, family byte, conn tuple, from, to netip.Addr, fromMAC, toMAC [6]byte) []byte {
	tag := sipHash(key, sealedBytes(kind, family, bodyOf(conn), from))
	header := []byte{1, byte(kind), family, 1, 0, 0, 0, 0}
	header = binary.LittleEndian.AppendUint64(header, tag)
	udp := binary.BigEndian.AppendUint16(nil, 0xc000|uint16(littleEndianAsStored(tag)&0x3fff))
	udp = binary.BigEndian.AppendUint16(udp, Port)
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+16+len(packet)))
	udp = append(udp, 0, 0)
	frame := append(append([]byte(nil), toMAC[:]...), fromMAC[:]...)
	if from.Is4() {
		ip := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0}
		binary.BigEndian.PutUint16(ip[2:], uint16(20+8+16+len(packet)))
		ip = append(append(ip, from.AsSlice()...), to.AsSlice()...)
		binary.BigEndian.PutUint16(ip[10:], ^onesComplement(ip))
		frame = append(append(frame, 8, 0), ip...)
	} else {
		ip := []byte{0x60, 0, 0, 0, 0, 0, 17, 64}
		binary.BigEndian.PutUint16(ip[4:], uint16(8+16+len(packet)))
		ip = append(append(ip, from.AsSlice()...), to.AsSlice()...)
		frame = append(append(frame, 0x86, 0xdd), ip...)
	}
	return append(append(append(frame, udp...), header...), packet...)
}

// littleEndianAsStored is a tag as the program has it in a word.
func littleEndianAsStored(tag uint64) uint64 {
	return binary.NativeEndian.Uint64(binary.LittleEndian.AppendUint64(nil, tag))
}

func onesComplement(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(port(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

func bodyOf(c tuple) body { return connOf(c.client, c.dst) }

// tupleOfBody is the opposite of bodyOf.
func tupleOfBody(b body) tuple {
	addr := func(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b)).Unmap() }
	return tuple{netip.AddrPortFrom(addr(b[:16]), port(b[32:])), netip.AddrPortFrom(addr(b[16:32]), port(b[34:]))}
}

// hear is hear of the programs.
func (m *model) hear(frame []byte, message bpf.FleetMessage, conn tuple, from netip.Addr) outcome {
	o := outcome{verdict: shot, counter: noCounter}
	switch message {
	case bpf.FleetMessageMINE:
		m.learnt[conn] = from
		delete(m.questions, conn)
		o.counter = bpf.FleetCounterCOUNT_LEARNT
	case bpf.FleetMessageGONE:
		m.deny(conn, from)
		if m.learnt[conn] == from {
			delete(m.learnt, conn)
			o.counter = bpf.FleetCounterCOUNT_GONE
		}
	default:
		return pass(frame)
	}
	return o
}

// deny notes that a peer does not have a conn.
func (m *model) deny(conn tuple, peer netip.Addr) {
	q, asked := m.questions[conn]
	if !asked {
		return
	}
	bit := uint64(1) << m.peers[peer].bit
	if q.denied&bit == 0 {
		q.denied |= bit
		q.just = true
	} else if !q.just {
		q.deniedAgain |= bit
	}
	m.questions[conn] = q
}

// denial is what goes back to who has sent a frame with this packet.
func (m *model) denial(frame, packet []byte, p inner, to netip.Addr) []byte {
	said := bodyOf(p.conn)
	message := append(said[:], packet[bodySize:p.beginning]...)
	return wrapAs(message, bpf.FleetMessageGONE, 0, p.conn, m.local, to, m.mac, [6]byte(frame[6:]))
}

// take is take_asked.
func (m *model) take(frame []byte) outcome {
	at, kind := 14+Overhead(m.local), port(frame[12:])
	if [6]byte(frame[:6]) != [6]byte{} || len(frame) < at {
		return pass(frame)
	}
	var from netip.Addr
	ip := frame[14:]
	if m.local.Is4() {
		if kind != 0x0800 || ip[0] != 0x45 || ip[9] != 17 || port(ip[6:])&0x3fff != 0 || addr4(ip[16:20]) != m.local {
			return pass(frame)
		}
		from, ip = addr4(ip[12:16]), ip[20:]
	} else {
		if kind != 0x86dd || ip[0]>>4 != 6 || ip[6] != 17 || addr6(ip[24:40]) != m.local {
			return pass(frame)
		}
		from, ip = addr6(ip[8:24]), ip[40:]
	}
	if port(ip[2:]) != Port {
		return pass(frame)
	}
	forged := outcome{verdict: shot, counter: bpf.FleetCounterCOUNT_FORGED}
	h, rest := ip[8:24], ip[24:]
	if _, known := m.peers[from]; !known || h[0] != 1 || h[3] != 1 || binary.BigEndian.Uint32(h[4:]) != 0 {
		return forged
	}
	message := bpf.FleetMessage(h[1])
	if message > bpf.FleetMessageSTRAIGHT && message < bpf.FleetMessageFLOW {
		if len(rest) < bodySize {
			return forged
		}
		_, said, ok := decode(append(append([]byte(nil), h...), rest[:bodySize]...), from, key, alsoKey)
		if !ok {
			return forged
		}
		return m.hear(frame, message, tupleOfBody(said), from)
	}
	if message == 0 || message > bpf.FleetMessageFLOW || h[2] != 4 && h[2] != 6 {
		return forged
	}
	p, ok := parse(rest, h[2] == 4)
	if !ok || p.udp != (message == bpf.FleetMessageFLOW) || binary.LittleEndian.Uint64(h[8:]) != sipHash(key, sealedBytes(message, h[2], bodyOf(p.conn), from)) {
		return forged
	}
	here := m.here[p.conn] && !p.syn
	if p.udp {
		here = m.flows[p.conn]
	}
	if !p.udp && p.conn.dst.Port() == 0 {
		return outcome{verdict: shot, counter: noCounter, sent: [][]byte{m.denial(frame, rest, p, from)}}
	}
	if !isServed(p.conn.dst.Addr()) || !here {
		o := outcome{verdict: shot, counter: bpf.FleetCounterCOUNT_FOREIGN}
		if p.udp {
			o.event = bpf.FleetMessageLACK
		} else if !here || message == bpf.FleetMessageSTRAIGHT {
			o.sent = [][]byte{m.denial(frame, rest, p, from)}
		}
		return o
	}
	o := outcome{verdict: okay, counter: bpf.FleetCounterCOUNT_TAKEN}
	if message == bpf.FleetMessageASK {
		o.event = bpf.FleetMessageMINE
	}
	o.frame = append([]byte(nil), frame[:12]...)
	if p.v4 {
		o.frame = append(o.frame, 8, 0)
	} else {
		o.frame = append(o.frame, 0x86, 0xdd)
	}
	o.frame = append(o.frame, rest...)
	return o
}
