package route

import (
	"net/netip"
	"time"

	"anyport/config"
)

// Record tells the access log of a conn or flow that has ended, or was never begun.
type Record struct {
	Begun    time.Time
	Took     time.Duration
	Protocol config.Protocol
	Route    string // "" where no route forwards dst
	Client   netip.AddrPort
	Dst      netip.AddrPort
	Origin   netip.AddrPort // the zero value where none was reached
	ToOrigin uint64         // bytes of payload
	ToClient uint64
	Verdict  Verdict
}

// Refused reports whether r is of a conn or flow that nobody was served by, and that cost
// its client a packet or a handshake alone: it was refused before an origin was asked, or it
// is a flow that gave way before it had an answer. There can be as many of these as packets
// fit through the wire, from forged sources.
func (r Record) Refused() bool {
	switch r.Verdict {
	case NoRoute, Denied, OverMaxConns, OverMaxPerClient, OverMaxFlows, OverClientFlows, NoOrigin, HeaderFailed, OutOfFiles, OutOfPorts,
		Draining, Responder, Looped:
		return true
	case ConnectFailed, ConnectTimedOut, RelayFailed: // nothing was sent there; a conn has waited for its origin
		return r.Protocol == config.UDP && r.ToOrigin == 0
	case Evicted:
		return r.Protocol == config.UDP && r.ToClient == 0
	}
	return false
}
