package shadow

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// snapLength is how much of a packet is copied: an ICMP error quotes a header behind 8 bytes of its
// own, and each header may have options.
const snapLength = 256

// Offsets in the headers of IP and TCP (RFC 791, RFC 8200, RFC 9293).
const (
	v4Fragment, v4Protocol = 6, 9
	v6Next, v6Header       = 6, 40
	tcpSequence, tcpFlags  = 4, 13

	fragmentOffset            = 0x1fff
	flagSYN, flagRST, flagACK = 2, 4, 16
)

// The ICMP messages of a closed UDP port: type and code (RFC 792, RFC 4443).
const icmpPortUnreachable, icmp6PortUnreachable = 3<<8 | 3, 1<<8 | 4

// line is an instruction of a filter; a jump names the lines that it leads to.
type line struct {
	label     string
	do        bpf.Instruction
	equal     uint32 // of a jump, where do is nil
	then, els string // "": the next line
}

// filter is the classic BPF program of the socket. It keeps SYN, SYN-ACK, and the RST that refuses a SYN:
// its sequence number is 0, while that of a live conn is not. With udp it also keeps datagrams, and the ICMP
// errors of closed ports. A packet begins with its IP header, on a socket of the type SOCK_DGRAM. Packets
// with IPv6 extension headers are left out: the filter would have to walk them.
func filter(udp bool) []bpf.Instruction {
	datagram, icmp, icmp6 := "keep", "icmp", "icmp6"
	if !udp {
		datagram, icmp, icmp6 = "drop", "drop", "drop"
	}
	return assemble([]line{
		{do: bpf.LoadAbsolute{Off: 0, Size: 1}},
		{do: bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4}},
		{equal: 6, els: "v4"},
		{do: bpf.LoadConstant{Dst: bpf.RegX, Val: v6Header}},
		{do: bpf.LoadAbsolute{Off: v6Next, Size: 1}},
		{do: bpf.Jump{}, then: "protocol"},

		{label: "v4", equal: 4, els: "drop"},
		{do: bpf.LoadAbsolute{Off: v4Fragment, Size: 2}},
		{do: bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: fragmentOffset}},
		{equal: 0, els: "drop"}, // only the first fragment has ports
		{do: bpf.LoadMemShift{Off: 0}},
		{do: bpf.LoadAbsolute{Off: v4Protocol, Size: 1}},

		{label: "protocol", equal: unix.IPPROTO_TCP, then: "tcp"},
		{equal: unix.IPPROTO_UDP, then: datagram},
		{equal: unix.IPPROTO_ICMP, then: icmp},
		{equal: unix.IPPROTO_ICMPV6, then: icmp6, els: "drop"},
		{label: "icmp", do: bpf.LoadIndirect{Off: 0, Size: 2}},
		{equal: icmpPortUnreachable, then: "keep", els: "drop"},
		{label: "icmp6", do: bpf.LoadIndirect{Off: 0, Size: 2}},
		{equal: icmp6PortUnreachable, then: "keep", els: "drop"},

		{label: "tcp", do: bpf.LoadIndirect{Off: tcpFlags, Size: 1}},
		{do: bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: flagSYN | flagRST | flagACK}},
		{equal: flagSYN, then: "keep"},
		{equal: flagSYN | flagACK, then: "keep"},
		{equal: flagRST | flagACK, els: "drop"},
		{do: bpf.LoadIndirect{Off: tcpSequence, Size: 4}},
		{equal: 0, then: "keep", els: "drop"},

		{label: "keep", do: bpf.RetConstant{Val: snapLength}},
		{label: "drop", do: bpf.RetConstant{Val: 0}},
	})
}

// assemble turns labels into distances: classic BPF jumps forward only, by a number of instructions.
func assemble(lines []line) []bpf.Instruction {
	at := map[string]int{}
	for i, l := range lines {
		at[l.label] = i
	}
	distance := func(from int, label string) uint8 {
		if label == "" {
			return 0
		}
		return uint8(at[label] - from - 1)
	}
	program := make([]bpf.Instruction, len(lines))
	for i, l := range lines {
		switch l.do.(type) {
		case nil:
			program[i] = bpf.JumpIf{Cond: bpf.JumpEqual, Val: l.equal, SkipTrue: distance(i, l.then), SkipFalse: distance(i, l.els)}
		case bpf.Jump:
			program[i] = bpf.Jump{Skip: uint32(distance(i, l.then))}
		default:
			program[i] = l.do
		}
	}
	return program
}
