package route

import (
	"net/netip"

	"anyport/config"
)

// Mirror shows clients of a dst, for a while, what its origin did: it has refused. It
// must not block.
type Mirror func(protocol config.Protocol, dst netip.AddrPort)

// Refused has what the origins of r did mirrored, if r wants that. Of a flow only one
// origin was asked: where there are others, they may serve the next.
func (m Mirror) Refused(r *Route, protocol config.Protocol, dst netip.AddrPort) {
	if m != nil && r.MirrorClosed && (protocol == config.TCP || len(r.Origins.Origins) == 1) {
		m(protocol, dst)
	}
}
