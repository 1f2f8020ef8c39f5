package shadow

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"anyport/config"
)

var (
	client4, dst4 = netip.MustParseAddrPort("198.51.100.2:40000"), netip.MustParseAddrPort("192.0.2.7:80")
	client6, dst6 = netip.MustParseAddrPort("[2001:db8:c::2]:40000"), netip.MustParseAddrPort("[2001:db8:1::7]:80")
)

// ip makes a packet; options is how many words of IPv4 options it has.
func ip(protocol byte, from, to netip.Addr, options int, payload []byte) []byte {
	var b []byte
	if from.Is4() {
		b = make([]byte, 20+4*options)
		b[0], b[v4Protocol] = byte(0x45+options), protocol
		copy(b[12:], from.AsSlice())
		copy(b[16:], to.AsSlice())
		return append(b, payload...)
	}
	b = make([]byte, v6Header)
	b[0], b[v6Next] = 0x60, protocol
	copy(b[8:], from.AsSlice())
	copy(b[24:], to.AsSlice())
	return append(b, payload...)
}

func segment(from, to netip.AddrPort, flags byte, sequence uint32) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, from.Port())
	binary.BigEndian.PutUint16(b[2:], to.Port())
	binary.BigEndian.PutUint32(b[tcpSequence:], sequence)
	b[12], b[tcpFlags] = 0x50, flags
	return ip(unix.IPPROTO_TCP, from.Addr(), to.Addr(), 2, b)
}

func udp(from, to netip.AddrPort) []byte {
	b := make([]byte, 8, 9)
	binary.BigEndian.PutUint16(b, from.Port())
	binary.BigEndian.PutUint16(b[2:], to.Port())
	return ip(unix.IPPROTO_UDP, from.Addr(), to.Addr(), 0, append(b, 'x'))
}

func unreachable(kindAndCode uint16, protocol byte, from, to netip.Addr, quoted []byte) []byte {
	return ip(protocol, from, to, 0, append(binary.BigEndian.AppendUint16(nil, kindAndCode), append(make([]byte, 6), quoted...)...))
}

func TestFilterAndParse(t *testing.T) {
	fragment := udp(client4, dst4)
	fragment[v4Fragment+1] = 1
	for name, test := range map[string]struct {
		packet   []byte
		kept     bool // with UDP
		tcpOnly  bool // without
		kind     kind
		protocol config.Protocol
		from, to netip.AddrPort
	}{
		"SYN":                      {segment(client4, dst4, flagSYN, 9), true, true, syn, config.TCP, client4, dst4},
		"SYN with ECN":             {segment(client4, dst4, flagSYN|0xc0, 9), true, true, syn, config.TCP, client4, dst4},
		"SYN over IPv6":            {segment(client6, dst6, flagSYN, 9), true, true, syn, config.TCP, client6, dst6},
		"SYN-ACK":                  {segment(dst4, client4, flagSYN|flagACK, 9), true, true, synACK, config.TCP, dst4, client4},
		"RST for a SYN":            {segment(dst6, client6, flagRST|flagACK, 0), true, true, refusal, config.TCP, dst6, client6},
		"RST of a conn":            {segment(dst6, client6, flagRST|flagACK, 7), false, false, refusal, config.TCP, dst6, client6},
		"data":                     {segment(client4, dst4, flagACK|8, 9), false, false, unimportant, 0, netip.AddrPort{}, netip.AddrPort{}},
		"datagram":                 {udp(client4, dst4), true, false, datagram, config.UDP, client4, dst4},
		"datagram over IPv6":       {udp(client6, dst6), true, false, datagram, config.UDP, client6, dst6},
		"fragment":                 {fragment, false, false, unimportant, 0, netip.AddrPort{}, netip.AddrPort{}},
		"closed UDP port":          {unreachable(icmpPortUnreachable, unix.IPPROTO_ICMP, dst4.Addr(), client4.Addr(), udp(client4, dst4)), true, false, refusal, config.UDP, dst4, client4},
		"closed UDP port of IPv6":  {unreachable(icmp6PortUnreachable, unix.IPPROTO_ICMPV6, dst6.Addr(), client6.Addr(), udp(client6, dst6)), true, false, refusal, config.UDP, dst6, client6},
		"an echo request":          {unreachable(8<<8, unix.IPPROTO_ICMP, dst4.Addr(), client4.Addr(), udp(client4, dst4)), false, false, refusal, config.UDP, dst4, client4},
		"another protocol":         {ip(47, client4.Addr(), dst4.Addr(), 0, make([]byte, 40)), false, false, unimportant, 0, netip.AddrPort{}, netip.AddrPort{}},
		"not IP":                   {append([]byte{0, 1, 8, 0, 6, 4}, make([]byte, 40)...), false, false, unimportant, 0, netip.AddrPort{}, netip.AddrPort{}},
		"an error about TCP":       {unreachable(icmpPortUnreachable, unix.IPPROTO_ICMP, dst4.Addr(), client4.Addr(), segment(client4, dst4, flagSYN, 1)), true, false, unimportant, 0, netip.AddrPort{}, netip.AddrPort{}},
		"an error without a quote": {unreachable(icmpPortUnreachable, unix.IPPROTO_ICMP, dst4.Addr(), client4.Addr(), []byte{0x45}), true, false, unimportant, 0, netip.AddrPort{}, netip.AddrPort{}},
	} {
		if got := keeps(t, true, test.packet); got != test.kept {
			t.Errorf("%s: kept %v, want %v", name, got, test.kept)
		}
		if got := keeps(t, false, test.packet); got != test.tcpOnly {
			t.Errorf("%s: kept %v without UDP, want %v", name, got, test.tcpOnly)
		}
		want := packet{test.kind, test.protocol, test.from, test.to}
		if got := parse(test.packet); got.kind != want.kind || want.kind != unimportant && got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// keeps runs the filter on a packet, as the kernel does.
func keeps(t *testing.T, udp bool, packet []byte) bool {
	t.Helper()
	vm, err := bpf.NewVM(filter(udp))
	if err != nil {
		t.Fatal(err)
	}
	n, err := vm.Run(packet)
	return err == nil && n > 0
}

// TestCutPackets: a packet that is cut or garbled anywhere is parsed without a panic, and with valid addresses or
// as unimportant.
func TestCutPackets(t *testing.T) {
	whole := [][]byte{segment(client4, dst4, flagSYN, 0), segment(client6, dst6, flagSYN, 0), udp(client4, dst4),
		unreachable(icmpPortUnreachable, unix.IPPROTO_ICMP, dst4.Addr(), client4.Addr(), udp(client4, dst4)),
		unreachable(icmp6PortUnreachable, unix.IPPROTO_ICMPV6, dst6.Addr(), client6.Addr(), udp(client6, dst6))}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		b := append([]byte{}, whole[random.IntN(len(whole))]...)
		for range random.IntN(3) {
			b[random.IntN(len(b))] = byte(random.Uint32())
		}
		if p := parse(b[:random.IntN(len(b)+1)]); p.kind != unimportant && (!p.from.IsValid() || !p.to.IsValid()) {
			t.Fatalf("%x: %+v", b, p)
		}
	}
}
