package proxyconf

import (
	"fmt"
	"net/netip"
	"slices"
)

// fitTransparent changes a route that dials from the client's address to one that package config
// accepts, and returns notes about it. A server on this host would answer the client past anyport, so
// such a route is not transparent. A client cannot reach a server of the other family by its address.
func (r *route) fitTransparent() (keys []Key, notes []string) {
	f := r.forwarding
	if !f.Has("transparent") {
		return f.Keys, nil
	}
	opaque := slices.DeleteFunc(slices.Clone(f.Keys), func(k Key) bool { return k.Key == "transparent" })
	if o := slices.IndexFunc(f.Origins, Origin.onThisHost); o >= 0 {
		return opaque, []string{fmt.Sprintf("not transparent: %s is on this host and would answer clients past anyport; write proxy_protocol if it reads headers", f.Origins[o].Host)}
	}
	if len(r.acceptProxy) > 0 {
		return f.Keys, nil
	}
	var served, unserved []netip.Prefix
	for _, p := range r.prefixes {
		if slices.ContainsFunc(f.Origins, func(o Origin) bool { return o.reaches(p) }) {
			served = append(served, p)
		} else {
			unserved = append(unserved, p)
		}
	}
	switch {
	case len(r.prefixes) == 0: // rules decide them
		return f.Keys, nil
	case len(served) == 0:
		return opaque, []string{"not transparent: no server is of the family of the prefixes"}
	case len(unserved) > 0:
		notes = append(notes, fmt.Sprintf("not served: %v, since no server is of its family, and the route is transparent", unserved))
	}
	r.prefixes = served
	r.origins = slices.DeleteFunc(slices.Clone(f.Origins), func(o Origin) bool {
		unreached := !slices.ContainsFunc(served, o.reaches)
		if unreached {
			notes = append(notes, fmt.Sprintf("not an origin: %s, since no prefix is of its family, and the route is transparent", o.Host))
		}
		return unreached
	})
	return f.Keys, notes
}

// onThisHost reports whether o is a loopback address.
func (o Origin) onThisHost() bool {
	addr, err := netip.ParseAddr(o.Host)
	return err == nil && addr.IsLoopback()
}

// reaches reports whether clients of p can have a conn to o; a name may have addresses of both families.
func (o Origin) reaches(p netip.Prefix) bool {
	addr, err := netip.ParseAddr(o.Host)
	return err != nil || addr.Is4() == p.Addr().Is4()
}
