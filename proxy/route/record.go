package route

import (
	"net/netip"
	"time"

	"anyport/config"
)

// Record is what the access log writes of a conn or flow that has ended or was refused.
type Record struct {
	Begun    time.Time
	Took     time.Duration
	Protocol config.Protocol
	Route    string // "" where no route forwards dst
	Client   netip.AddrPort
	Peer     netip.AddrPort // what the packets came from, if a PROXY header named the client; or the zero value
	Dst      netip.AddrPort
	Origin   netip.AddrPort // the zero value where none was reached
	ToOrigin uint64         // bytes of payload
	ToClient uint64
	Verdict  Verdict
	UniqueID string // the bytes that the origin knows it by, if the route has "unique-id" and the origin got a header
}

// Refused reports whether the conn or flow got nothing, and cost its client no more than a packet or
// a handshake: it was refused before an origin was asked, or it is a flow that was evicted before it
// had an answer. A flood from forged sources can make as many of these as the link carries packets,
// so the access log sums them.
func (r Record) Refused() bool {
	switch r.Verdict {
	case NoRoute, Denied, OverMaxConns, OverMaxPerClient, OverClientRate, OverMaxFlows, OverClientFlows, OverOriginConns,
		QueueFull, QueueTimedOut, QueueAbandoned, NoOrigin, NoneForClient, ClientPortInUse, HeaderFailed, OutOfFiles, OutOfPorts,
		Draining, Inactive, Responder, Looped, UntrustedPeer:
		return true
	case BadHeader:
		return r.Protocol == config.UDP
	case ConnectFailed, ConnectTimedOut, RelayFailed: // nothing was sent there; a conn has waited for its origin
		return r.Protocol == config.UDP && r.ToOrigin == 0
	case Evicted:
		return r.Protocol == config.UDP && r.ToClient == 0
	}
	return false
}
