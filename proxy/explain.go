package proxy

import (
	"fmt"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/origin"
)

// ExplainOrigins says for a route in service to which origins a new conn or flow to a port may go, each
// with what speaks against it, and why. It is not ok if no such route is in service, or the route has no
// origin with an address.
func (s *Server) ExplainOrigins(routeName string, protocol config.Protocol, port uint16, client netip.Addr) (origins, because []string, ok bool) {
	r := s.routes.Set().Named(routeName)
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
