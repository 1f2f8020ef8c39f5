package socket

import (
	"net/netip"

	"anyport/config"
	"anyport/proxy/call"
)

// A conn whose dst has a port of the ephemeral range keeps connect(2) from giving that port
// to any socket, whatever the addresses (__inet_hash_connect skips it), for as long as the conn
// lives and for the minute of TIME_WAIT: a client that tries all ports, as a scan does, would
// leave none to dial from. A port that the kernel does not choose can still be bound by number,
// if every socket that has it has set SO_REUSEADDR (inet_bind_conflict): two conns need only
// differ in the pair of addresses and ports.

// Ports are the local ports that sockets may dial from, as they were at the start.
type Ports struct {
	config.PortRange
	reserved map[uint16]bool // net.ipv4.ip_local_reserved_ports
}

// LocalPorts reads them from the host's sysctls.
func LocalPorts() Ports { return Ports{call.LocalPorts(), call.ReservedPorts()} }

// After returns source with the port that is steps after start in the range, or the next one that
// is not reserved. If source is not valid, it is the unspecified address of to's family.
func (p *Ports) After(start, steps int, source, to netip.Addr) netip.AddrPort {
	all := p.Width()
	at := (start + steps) % all
	for range all {
		if !p.reserved[p.First+uint16(at)] {
			break
		}
		at = (at + 1) % all
	}
	switch {
	case source.IsValid():
	case to.Is4():
		source = netip.IPv4Unspecified()
	default:
		source = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(source, p.First+uint16(at))
}
