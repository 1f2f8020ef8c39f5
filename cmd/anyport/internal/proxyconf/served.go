package proxyconf

import (
	"net/netip"
	"slices"
)

// Options are what a configuration does not say itself.
type Options struct {
	// Prefixes are what an address that stands for all addresses of the host means to anyport, which
	// serves prefixes.
	Prefixes []netip.Prefix

	// Elsewhere means that the dsts come from packet-filter rules: any address to listen on is right.
	Elsewhere bool

	// Env is the environment that the configuration is read with.
	Env func(name string) (value string, ok bool)

	// ReadFile reads files that the configuration names.
	ReadFile func(path string) ([]byte, error)

	// Glob finds the files that a pattern matches, in their order.
	Glob func(pattern string) ([]string, error)
}

// everywhere are the prefixes of all addresses.
var everywhere = []netip.Prefix{
	netip.PrefixFrom(netip.IPv4Unspecified(), 0),
	netip.PrefixFrom(netip.IPv6Unspecified(), 0),
}

// Everyone are the prefixes of all addresses.
func Everyone() []netip.Prefix { return slices.Clone(everywhere) }

// Host is the prefix of one address.
func Host(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }

// servable reports whether package config lets a route have an address, or all of them.
func servable(addr netip.Addr) bool {
	reserved := addr.Is4() && (addr.As4()[0] == 0 && !addr.IsUnspecified() || addr.As4() == [4]byte{255, 255, 255, 255})
	return !reserved && !addr.IsMulticast() && (addr.Is4() || !addr.IsLinkLocalUnicast()) && addr.Zone() == ""
}

// Served are the prefixes that an address to listen on stands for, or why there are none.
func (o Options) Served(l Listen) (prefixes []netip.Prefix, reason string) {
	switch {
	case o.Elsewhere:
		return nil, ""
	case l.Address.IsLoopback():
		return nil, "listens on loopback, which anyport serves only with allow_loopback = true in [steering]"
	case !servable(l.Address):
		return nil, "listens on an address that anyport cannot serve: link-local, multicast or reserved"
	case !l.Address.IsUnspecified():
		return []netip.Prefix{Host(l.Address)}, ""
	}
	for _, p := range o.Prefixes {
		if p.Addr().Is4() == l.Address.Is4() || l.Both {
			prefixes = append(prefixes, p)
		}
	}
	switch {
	case len(prefixes) > 0:
		return prefixes, ""
	case len(o.Prefixes) > 0:
		return nil, "listens on all addresses of a family that no --prefix is of: name one with --prefix"
	case l.Transparent:
		return nil, "listens for every dst that TPROXY brings, and anyport serves prefixes: name them with --prefix, or import the rules"
	}
	return nil, "listens on all addresses of the host, and anyport serves prefixes: name them with --prefix"
}
