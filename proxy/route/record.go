package route

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/origin"
)

// Record is what the access log writes of a conn or flow: when it has ended or was refused, and, if
// progress lines are on, from time to time while it lives.
type Record struct {
	ID       ID   // 0: it was refused before it had one
	Live     bool // it goes on: this is a progress line
	Begun    time.Time
	Took     time.Duration
	Protocol config.Protocol
	Route    string // "" where no route forwards dst
	Client   netip.AddrPort
	Peer     netip.AddrPort // what the packets came from, if a PROXY header named the client; or the zero value
	Dst      netip.AddrPort
	Origin   netip.AddrPort    // the last one that was tried, and the zero value where none was
	Error    origin.ErrorClass // why that one did not take it; NoError: it did
	Errno    unix.Errno
	Source   netip.AddrPort // what the origin was dialled from; the zero value where none was reached
	Sent     [2]Sent        // ToOrigin, ToClient
	Connect  time.Duration  // from the dial until the origin accepted; 0: it did not, or this is a flow
	Attempts int            // origins that were tried
	Verdict  Verdict
	Phase    Phase  // it had come to; Ending looks at the verdict first
	Path     Path   // of a flow's datagrams, in either direction
	UniqueID string // the bytes that the origin knows it by, if the route has "unique-id" and the origin got a header
}

// Path is who has forwarded the datagrams of a flow.
type Path uint8

// The paths.
const (
	NoPath   Path = iota // it is no flow
	InUser               // this process
	InKernel             // the fast path
	OnBoth               // some the one, some the other
)

// String is empty for NoPath.
func (p Path) String() string { return [...]string{"", "user", "kernel", "both"}[p] }

// Sent is what went one way.
type Sent struct {
	Bytes   uint64        // of payload
	Packets uint64        // datagrams, or TCP segments with payload, those that were sent again included
	RTT     time.Duration // TCP: to the side that it was sent to, smoothed (RFC 6298); 0: not measured
}

// Refused reports whether the conn or flow got nothing, and cost its client no more than a packet or
// a handshake: it was refused before an origin was asked, or it is a flow that was evicted before it
// had an answer. A flood from forged sources can make as many of these as the link carries packets,
// so the access log sums them.
func (r *Record) Refused() bool {
	switch r.Verdict {
	case NoRoute, Denied, OverMaxConns, OverMaxPerClient, OverClientRate, OverMaxFlows, OverClientFlows, OverOriginConns,
		QueueFull, QueueTimedOut, QueueAbandoned, NoOrigin, NoneForClient, ClientPortInUse, HeaderFailed, OutOfFiles, OutOfPorts,
		Draining, Inactive, Responder, Looped, UntrustedPeer:
		return true
	case BadHeader:
		return r.Protocol == config.UDP
	case ConnectFailed, ConnectTimedOut, RelayFailed: // nothing was sent there; a conn has waited for its origin
		return r.Protocol == config.UDP && r.Sent[ToOrigin].Bytes == 0
	case Evicted:
		return r.Protocol == config.UDP && r.Sent[ToClient].Bytes == 0
	}
	return false
}
