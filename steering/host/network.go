package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ReadNetwork asks the kernel about the network namespace of the calling thread.
func ReadNetwork() (*Network, error) {
	links, err := dump(func() ([]netlink.Link, error) { return netlink.LinkList() })
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

func (h *Network) readAddresses(names map[int]string) error {
	all, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	for _, a := range all {
		if p, ok := prefixOf(a.IPNet); ok {
			host := netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
			h.Addresses = append(h.Addresses, Attached{host, names[a.LinkIndex]})
		}
	}
	return err
}

// readRoutes reads the main table. A default route and one through lo connect nothing.
func (h *Network) readRoutes(names map[int]string) error {
	all, err := dump(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_ALL) })
	for _, r := range all {
		gateways := gatewaysOf(r)
		h.Gateways = append(h.Gateways, gateways...)
		p, ok := prefixOf(r.Dst)
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

// dump asks again when the kernel's answer changed while it was given.
func dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range 10 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}
