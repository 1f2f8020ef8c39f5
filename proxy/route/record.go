package route

import (
	"net/netip"
	"time"

	"anyport/config"
)

// Record is one line of the access log: a conn or flow that has ended, or was never begun.
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
