package shadow

import (
	"net/netip"
	"slices"

	"anyport/config"
	"anyport/steering/host"
)

// mostAsked bounds how many sockets are asked for in a tick; the others are judged by the listeners.
const mostAsked = 256

// holders finds out which sockets of this host have answered these attempts: by the socket of the conn, if it is still
// there, else by what listens. It reads the network namespace of the calling thread.
func holders(answered []*attempt) ([]Today, error) {
	if len(answered) == 0 {
		return nil, nil
	}
	listeners, err := host.ListenersWithoutOwners()
	if err != nil {
		return nil, err
	}
	all := make([]Today, len(answered))
	for i, a := range answered {
		all[i] = byListeners(a.tuple, listeners)
		if a.protocol != config.TCP || i >= mostAsked {
			continue
		}
		if transparent, found := host.ConnTransparent(a.dst, a.client); found {
			all[i] = byTransparency(transparent)
		}
	}
	return all, nil
}

func byTransparency(transparent bool) Today {
	if transparent {
		return ByProxy
	}
	return ByHost
}

// byListeners judges a conn whose socket is not there any more, or a flow, which may have none. A rule can
// send either to a transparent socket, whatever else listens on the port: then nobody knows.
func byListeners(id tuple, listeners []host.Listener) Today {
	proxy := slices.ContainsFunc(listeners, func(l host.Listener) bool { return l.Protocol == id.protocol && l.Transparent })
	ordinary := slices.ContainsFunc(listeners, func(l host.Listener) bool {
		return l.Protocol == id.protocol && !l.Transparent && takes(l, id.dst)
	})
	switch {
	case proxy && !ordinary:
		return ByProxy
	case ordinary && !proxy:
		return ByHost
	}
	return BySocket
}

// takes reports whether packets to dst reach l if nobody interferes.
func takes(l host.Listener, dst netip.AddrPort) bool {
	addr := l.Addr.Addr()
	switch {
	case l.Addr.Port() != dst.Port():
		return false
	case !addr.IsUnspecified():
		return addr == dst.Addr()
	}
	return addr.Is4() == dst.Addr().Is4() || addr.Is6() && !l.IPv6Only
}
