package host

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ReadNetwork asks the kernel about the network namespace of the calling thread.
func ReadNetwork() (*Network, error) {
	links, err := Dump(func() ([]netlink.Link, error) { return netlink.LinkList() })
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	names := make(map[int]string)
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	h := &Network{}
	if err := h.readAddresses(names); err != nil {
		return nil, fmt.Errorf("list the addresses: %w", err)
	}
	if err := h.readRoutes(names); err != nil {
		return nil, fmt.Errorf("list the routes: %w", err)
	}
	return h, nil
}

// readAddresses reads the addresses of all interfaces, those that are down included: they may come up.
func (h *Network) readAddresses(names map[int]string) error {
	all, err := Dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	for _, a := range all {
		if p, ok := PrefixOf(a.IPNet); ok {
			host := netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
			h.Addresses = append(h.Addresses, Attached{host, names[a.LinkIndex]})
		}
	}
	return err
}

// readRoutes reads the main table. A default route and one through lo connect nothing.
func (h *Network) readRoutes(names map[int]string) error {
	all, err := Dump(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_ALL) })
	for _, r := range all {
		gateways := gatewaysOf(r)
		h.Gateways = append(h.Gateways, gateways...)
		p, ok := PrefixOf(r.Dst)
		if ok && len(gateways) == 0 && r.Type == unix.RTN_UNICAST && p.Bits() > 0 && names[r.LinkIndex] != "lo" {
			h.Subnets = append(h.Subnets, Attached{p, names[r.LinkIndex]})
		}
	}
	return err
}

// gatewaysOf returns the next hops of r: one, or those of its paths.
func gatewaysOf(r netlink.Route) []netip.Addr {
	var all []netip.Addr
	add := func(gw net.IP, via netlink.Destination) {
		if v, ok := via.(*netlink.Via); ok {
			gw = v.Addr
		}
		if a, ok := netip.AddrFromSlice(gw); ok {
			all = append(all, a.Unmap())
		}
	}
	add(r.Gw, r.Via)
	for _, path := range r.MultiPath {
		add(path.Gw, path.Via)
	}
	return all
}

// Network is what the network of this host consists of: what no prefix may take from it.
type Network struct {
	Addresses []Attached   // its own, each as a single host
	Subnets   []Attached   // reached through an interface without a gateway
	Gateways  []netip.Addr // of its routes
}

// Attached is an address or subnet and its interface.
type Attached struct {
	Prefix    netip.Prefix
	Interface string
}

// partsIn names what of the host lies in p.
func (h *Network) partsIn(p netip.Prefix) []string {
	var taken []string
	for _, s := range h.Subnets {
		if covers(p, s.Prefix) {
			taken = append(taken, fmt.Sprintf("the subnet %s on %s", s.Prefix, s.Interface))
		}
	}
	for _, g := range h.Gateways {
		if p.Contains(g) {
			taken = append(taken, fmt.Sprintf("the gateway %s", g))
		}
	}
	for _, a := range h.Addresses {
		if covers(p, a.Prefix) {
			taken = append(taken, fmt.Sprintf("this host's address %s on %s", a.Prefix.Addr(), a.Interface))
		}
	}
	return taken
}

// covers reports whether all of inner lies in outer and is not loopback.
func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr()) && !inner.Addr().IsLoopback()
}
