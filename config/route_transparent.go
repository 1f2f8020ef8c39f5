package config

import "net/netip"

// checkTransparent checks a route that dials origins from the client's address. There is one
// problem a route: the first says that the key is in the wrong place.
func checkTransparent(t *table, r *Route) {
	const key = "transparent"
	switch {
	case r.Action != Forward:
		t.fault(key, `is not used with action = "%v": remove it`, r.Action)
	case len(r.Source) > 0:
		t.fault(key, "cannot be combined with source: both say which address origins see; remove one of the two")
	case len(r.EgressPrefixes) > 0:
		t.fault(key, "cannot be combined with egress_prefixes: both say which address origins see; remove one of the two")
	case r.ProxyProtocol == ProxySPP:
		t.fault(key, `cannot be combined with proxy_protocol = "spp", whose flows share sockets: write proxy_protocol = "off" or "v2", or remove it`)
	default:
		checkTransparentOrigins(t, r)
	}
}

// checkTransparentOrigins reports origins that no client of the route can be forwarded to, and
// prefixes whose clients cannot be forwarded to any origin: an address of a client and one of an
// origin are of one family. A client that a PROXY header names may be of either.
func checkTransparentOrigins(t *table, r *Route) {
	const key = "transparent"
	for _, o := range r.Origins {
		if o.Addr.IsLoopback() {
			t.fault(key, "origin %q is on this host and would answer clients directly: name an origin on another host, or remove transparent", o.Text)
			return
		}
	}
	if len(r.AcceptProxy) > 0 {
		return
	}
	for _, p := range r.Prefixes {
		if !r.hasOriginOf(p.Addr()) {
			t.fault(key, "has no origin of the family of prefix %s, and clients of one family cannot reach origins of the other by their own address: add one, or remove the prefix", p)
			return
		}
	}
	for _, o := range r.Origins {
		if o.Host == "" && !r.servesFamilyOf(o.Addr) {
			t.fault(key, "has no prefix of the family of origin %q, so no client could be forwarded to it by its own address: remove the origin, or add a prefix", o.Text)
			return
		}
	}
}

// hasOriginOf reports whether an origin may be of the family of addr; a DNS name may be of both.
func (r *Route) hasOriginOf(addr netip.Addr) bool {
	for _, o := range r.Origins {
		if o.Host != "" || o.Addr.Is4() == addr.Is4() {
			return true
		}
	}
	return false
}

// servesFamilyOf reports whether a prefix is of the family of addr.
func (r *Route) servesFamilyOf(addr netip.Addr) bool {
	for _, p := range r.Prefixes {
		if p.Addr().Is4() == addr.Is4() {
			return true
		}
	}
	return false
}

// checkTransparentRoutes: the way back from the origins needs CAP_NET_ADMIN after a reload and at
// the end, which this process keeps only where it manages the local routes.
func checkTransparentRoutes(rep *report, cfg *Config) {
	for _, r := range cfg.Routes {
		if r.Transparent && !cfg.Steering.ManageRoutes {
			rep.add(r.Name, "transparent", "needs steering.manage_routes = true: anyport installs the way back from the origins; write true there, or remove transparent")
		}
	}
}
