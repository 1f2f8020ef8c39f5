package route

import (
	"net/netip"

	"anyport/config"
)

// Mirror makes the kernel refuse a dst to clients for a while, as its origin has refused it. It must
// not block.
type Mirror func(protocol config.Protocol, dst netip.AddrPort)

// Refused mirrors that the origins of r have refused dst, if r has mirror_closed. A conn has tried all
// origins, a flow only one: if there are others, they may serve the next flow.
func (m Mirror) Refused(r *Route, protocol config.Protocol, dst netip.AddrPort) {
	if m != nil && r.MirrorClosed && (protocol == config.TCP || len(r.Origins().Origins) == 1) {
		m(protocol, dst)
	}
}
