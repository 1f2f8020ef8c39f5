package route

import (
	"anyport/config"
	"anyport/proxy/origin"
)

// Retired returns a route that is no longer in service, for live conns of another process. They are
// counted with what no route takes.
func (l *Live) Retired(name string, header config.ProxyProtocol, tlvs []config.ProxyTLV, t config.Timeouts, bandwidth config.Rate) *Route {
	c := &config.Route{Name: name, ProxyProtocol: header, ProxyTLVs: tlvs, Timeouts: t, Bandwidth: bandwidth}
	r := &Route{Route: c, Stats: l.Unrouted}
	r.origins.Store(origin.NewPool(c, nil))
	return r
}
