package proxy

import (
	"net/netip"

	"anyport/config"
	"anyport/proxy/route"
)

// Share puts a second table and its routes into service for the clients that takes is true for. The table before
// serves the others. Live conns and flows stay with the route that they began with. The orders and checks of a
// route that both have are those of the one before. It must not race with Try.
func (s *Server) Share(table route.Table, routes []*config.Route, takes func(client netip.Addr) bool) *route.Sides {
	return s.routes.Share(table, routes, takes)
}

// CountFrom counts what begins from now on, until StopCounting. Neither must race with Try or Share.
func (s *Server) CountFrom() *route.Tally { return s.routes.CountFrom() }

// StopCounting ends what CountFrom has begun.
func (s *Server) StopCounting() { s.routes.StopCounting() }
