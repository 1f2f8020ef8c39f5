package route

import (
	"anyport/config"
	"anyport/proxy/origin"
)

// Retired is a route that is in service no more, for conns of another process that
// live on. What it has is counted with what no route takes.
func (l *Live) Retired(name string, header config.ProxyProtocol, t config.Timeouts) *Route {
	c := &config.Route{Name: name, ProxyProtocol: header, Timeouts: t}
	return &Route{Route: c, Origins: origin.NewPool(c, nil), Stats: l.Unrouted}
}
