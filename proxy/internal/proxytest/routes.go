package proxytest

import (
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// Routes is a table with a route for each dst.
type Routes map[netip.AddrPort]*config.Route

// Lookup returns the route of dst.
func (rs Routes) Lookup(_ config.Protocol, dst netip.AddrPort) *config.Route { return rs[dst] }

// Passes is false: nothing is left to the host's own listeners.
func (Routes) Passes(config.Protocol, netip.AddrPort) bool { return false }

// Live puts one route into service for all dsts.
func Live(r *config.Route, dsts ...netip.AddrPort) *route.Live {
	table := Routes{}
	for _, dst := range dsts {
		table[dst] = r
	}
	l := route.NewLive(len(dsts))
	l.Swap(table, []*config.Route{r})
	return l
}

// To is a route to origins, whose flows outlive any test.
func To(origins ...netip.AddrPort) *config.Route {
	r := &config.Route{
		Name: "test", Protocols: []config.Protocol{config.UDP}, Action: config.Forward,
		Balance: config.First, ProxyProtocol: config.ProxyOff,
		Timeouts: config.Timeouts{UDPIdle: time.Hour}, // no drain timeout: flows end at once
	}
	for _, o := range origins {
		r.Origins = append(r.Origins, config.Origin{
			Text: o.String(), Addr: o.Addr(), Ports: config.PortRange{First: o.Port(), Last: o.Port()}, Weight: 1,
		})
	}
	return r
}
