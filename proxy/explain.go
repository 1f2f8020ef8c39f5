package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"anyport/config"
	"anyport/proxy/flow"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// ExplainOrigins says for a route in service to which origins a new conn or flow to a port may go, each
// with what speaks against it, and why. It is not ok if no such route is in service, or the route has no
// origin with an address.
func (s *Server) ExplainOrigins(routeName string, protocol config.Protocol, port uint16, client netip.Addr) (origins, because []string, ok bool) {
	r := s.routes.Set().NamedFor(client, routeName)
	if r == nil || len(r.Origins().Origins) == 0 {
		return nil, nil, false
	}
	candidates, all := r.Origins().Explain(origin.Ask{Client: client, Protocol: protocol, Port: port, Now: time.Now()})
	for _, c := range candidates {
		text := candidateText(c, port)
		if origins = append(origins, text); c.Why != "" {
			because = append(because, fmt.Sprintf("origin %s: %s", c.At(port), c.Why))
		}
	}
	return origins, append(because, all...), true
}

// ExplainFast says whether the kernel may forward the flows of a client on a route in service by itself,
// once they have shown themselves, as far as the file decides. It is "" if no such route is in service.
func (s *Server) ExplainFast(routeName string, client netip.Addr) string {
	r := s.routes.Set().NamedFor(client, routeName)
	switch {
	case r == nil:
		return ""
	case s.fast == nil || s.fast.Generation() == 0:
		return "fast path: no: " + route.FastUnavailable.Sentence()
	}
	if reason := flow.RouteGoesFast(r.Route); reason != route.FastForwarded {
		return "fast path: no: " + reason.Sentence()
	}
	if client.Zone() != "" {
		return "fast path: no: " + route.FastZone.Sentence()
	}
	if client.IsValid() && !slices.ContainsFunc(r.Origins().Origins, func(o *origin.Origin) bool { return o.Addr.Is4() == client.Is4() }) {
		return "fast path: no: " + route.FastFamily.Sentence()
	}
	return "fast path: yes: once the origin has answered and the client has shown that it is there, the kernel forwards a flow, unless something speaks against a device"
}

// candidateText is an origin as explain names it: its address, and what is not as usual.
func candidateText(c origin.Candidate, port uint16) string {
	text := c.At(port).String()
	if c.Host != "" {
		text += " (" + nameOf(c.Origin.Origin) + ")"
	}
	if weight := c.CurrentWeight(); weight != 1 && !c.Vanished() {
		text += fmt.Sprintf(" weight %d", weight)
	}
	if c.Backup {
		text += " backup"
	}
	if c.State != "" {
		text += " " + c.State
	}
	return text
}
