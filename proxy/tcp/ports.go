package tcp

import (
	"net/netip"

	"anyport/proxy/call"
)

// A conn whose dst has a port of the ephemeral range keeps connect(2) from giving that port
// to anybody, whatever the addresses (__inet_hash_connect passes over it), for as long as it
// lives and for the minute of TIME_WAIT: a client that asks for all ports, as a scan does,
// would leave none to dial from. What the kernel does not give may still be asked for by
// number, where all who have the port have set SO_REUSEADDR (inet_bind_conflict): what must
// differ between two conns is the pair of addresses and ports alone.

// portTries is how many ports are asked for: each one that is in use is so by a program of
// the host, or by a conn to the same origin.
const portTries = 32

// ports are those that sockets may dial from.
type ports struct {
	first, last int
	reserved    map[uint16]bool
}

func newPorts() ports {
	first, last := call.LocalPorts()
	return ports{first, last, call.ReservedPorts()}
}

func (p *ports) have(port uint16) bool { return p.first <= int(port) && int(port) <= p.last }

// after is the port that follows so many steps after another, without the reserved ones,
// with the address; where that is none, of the family of to.
func (p *ports) after(start, steps int, source, to netip.Addr) netip.AddrPort {
	all := p.last - p.first + 1
	port := p.first + (start+steps)%all
	for range all {
		if !p.reserved[uint16(port)] {
			break
		}
		port = p.first + (port+1-p.first)%all
	}
	switch {
	case source.IsValid():
	case to.Is4():
		source = netip.IPv4Unspecified()
	default:
		source = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(source, uint16(port))
}
