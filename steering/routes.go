package steering

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"anyport/config"

	"github.com/gaissmai/bart"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeProtocol marks the routes that are ours, as `ip route show proto 169 table local`
// lists them. The list of known ones, iproute2's rt_protos, has nobody at 169.
const routeProtocol = 169

// localRoutes keeps the prefixes local: `ip route add local PREFIX dev lo`.
type localRoutes struct {
	handle *netlink.Handle // of the namespace that it was opened in
	lo     int             // interface index
	mine   bart.Lite       // the routes that this process answers for
}

func newLocalRoutes() (*localRoutes, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	lo, err := handle.LinkByName("lo")
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("find the interface lo: %w", err)
	}
	return &localRoutes{handle: handle, lo: lo.Attrs().Index}, nil
}

// adopt takes over the routes that another process left, whichever there are.
func (l *localRoutes) adopt() error {
	l.mine = bart.Lite{}
	return l.list(func(p netip.Prefix, ours bool) {
		if ours {
			l.mine.Insert(p)
		}
	})
}

// wanted returns the routes that table needs, besides those of others.
func (l *localRoutes) wanted(cfg *config.Config, table *Table) (*bart.Lite, error) {
	if !cfg.Steering.ManageRoutes {
		return new(bart.Lite), nil
	}
	var others bart.Lite
	err := l.list(func(p netip.Prefix, ours bool) {
		if !ours || !l.mine.Get(p) {
			others.Insert(p)
		}
	})
	return outermost(table, &others), err
}

// list calls add for every prefix of the table of local addresses.
func (l *localRoutes) list(add func(p netip.Prefix, ours bool)) error {
	filter := &netlink.Route{Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		all, err := dump(func() ([]netlink.Route, error) {
			return l.handle.RouteListFiltered(family, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
		})
		if err != nil {
			return fmt.Errorf("list the local routes: %w", err)
		}
		for _, r := range all {
			if p, ok := prefixOf(r.Dst); ok {
				add(p, r.Protocol == routeProtocol)
			}
		}
	}
	return nil
}

// apply makes the changes, all or none.
func (l *localRoutes) apply(changes []change) error {
	for i, c := range changes {
		if err := l.do(c); err != nil {
			return errors.Join(err, l.apply(inverse(changes[:i])))
		}
	}
	return nil
}

// do makes one change. What is already as it should be is left to whoever did it.
func (l *localRoutes) do(c change) error {
	if !c.add {
		if err := l.handle.RouteDel(l.route(c.prefix)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove the route local %s dev lo: %w", c.prefix, err)
		}
		l.mine.Delete(c.prefix)
		return nil
	}
	err := l.handle.RouteAdd(l.route(c.prefix))
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.ENETDOWN):
		return fmt.Errorf("add the route local %s dev lo: %w: bring it up with: ip link set lo up", c.prefix, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("add the route local %s dev lo: %w: allow it with: sysctl -w net.ipv6.conf.lo.disable_ipv6=0", c.prefix, err)
	case err != nil:
		return fmt.Errorf("add the route local %s dev lo: %w", c.prefix, err)
	}
	l.mine.Insert(c.prefix)
	return nil
}

func (l *localRoutes) route(p netip.Prefix) *netlink.Route {
	return &netlink.Route{
		LinkIndex: l.lo,
		Dst:       &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
		Table:     unix.RT_TABLE_LOCAL,
		Type:      unix.RTN_LOCAL,
		Scope:     unix.RT_SCOPE_HOST,
		Protocol:  routeProtocol,
	}
}

// close removes the routes, unless they are to be kept.
func (l *localRoutes) close(keep bool) error {
	defer l.handle.Close()
	if keep {
		return nil
	}
	var errs []error
	for _, c := range l.removal() {
		errs = append(errs, l.do(c))
	}
	return errors.Join(errs...)
}

// removal is the changes that leave none of them.
func (l *localRoutes) removal() []change { return newPlan(&l.mine, &bart.Lite{}).before }

// prefixOf converts a prefix of package netlink.
func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	bits, size := n.Mask.Size()
	if size == 32 {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, bits), ok
}
