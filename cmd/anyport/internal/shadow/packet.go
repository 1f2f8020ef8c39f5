package shadow

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"anyport/config"
)

// kind is what a packet says about a conn or flow.
type kind uint8

const (
	syn         kind = iota // a client asks
	synACK                  // dst has accepted
	refusal                 // RST, or ICMP port unreachable
	datagram                // of either side
	unimportant             // or not readable
)

// packet is the part of a packet that the rehearsal uses: its kind, source and destination. A refusal
// is always from dst to the client, also if an ICMP error has said it.
type packet struct {
	kind     kind
	protocol config.Protocol
	from, to netip.AddrPort
}

// parse reads a packet that the filter has kept, and is robust against any other.
func parse(b []byte) packet {
	protocol, from, to, rest := parseIP(b)
	switch {
	case !from.IsValid():
	case protocol == unix.IPPROTO_TCP && len(rest) > tcpFlags:
		return packet{tcpKind(rest[tcpFlags]), config.TCP, portOf(from, rest), portOf(to, rest[2:])}
	case protocol == unix.IPPROTO_UDP && len(rest) >= 8:
		return packet{datagram, config.UDP, portOf(from, rest), portOf(to, rest[2:])}
	case (protocol == unix.IPPROTO_ICMP || protocol == unix.IPPROTO_ICMPV6) && len(rest) > 8:
		return parseQuoted(rest[8:])
	}
	return packet{kind: unimportant}
}

// parseIP returns the addresses, and what follows the header; from is invalid if there is no header.
func parseIP(b []byte) (protocol uint8, from, to netip.Addr, rest []byte) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		header := int(b[0]&15) * 4
		if header < 20 || len(b) < header || binary.BigEndian.Uint16(b[v4Fragment:])&fragmentOffset != 0 {
			return 0, from, to, nil
		}
		return b[v4Protocol], netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])), b[header:]
	case len(b) >= v6Header && b[0]>>4 == 6:
		return b[v6Next], netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), b[v6Header:]
	}
	return 0, from, to, nil
}

func portOf(addr netip.Addr, b []byte) netip.AddrPort {
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b))
}

func tcpKind(flags byte) kind {
	switch flags & (flagSYN | flagRST | flagACK) {
	case flagSYN:
		return syn
	case flagSYN | flagACK:
		return synACK
	case flagRST | flagACK:
		return refusal
	}
	return unimportant
}

// parseQuoted reads the packet that an ICMP error quotes: one of the client's.
func parseQuoted(b []byte) packet {
	protocol, from, to, rest := parseIP(b)
	if !from.IsValid() || protocol != unix.IPPROTO_UDP || len(rest) < 4 {
		return packet{kind: unimportant}
	}
	return packet{refusal, config.UDP, portOf(to, rest[2:]), portOf(from, rest)}
}
