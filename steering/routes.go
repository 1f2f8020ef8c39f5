package steering

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"anyport/config"

	"github.com/gaissmai/bart"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeProtocol marks the routes that are ours, as `ip route show proto 169 table local`
// lists them. The list of known ones, iproute2's rt_protos, has nobody at 169.
const routeProtocol = 169

// localRoutes keeps the prefixes local: `ip route add local PREFIX dev DEVICE`. The device
// is lo, or the tun where the routes must end with the process.
type localRoutes struct {
	handle  *netlink.Handle // of the namespace that it was opened in
	lists   *netlink.Handle // of it, for lists of one table: see newLocalRoutes
	monitor *monitor        // of it as well; nil: none
	lo      int             // interface index
	tun     *tun            // nil: the routes refer to lo
	mine    bart.Lite       // the routes that this process answers for
}

func newLocalRoutes() (*localRoutes, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	l := &localRoutes{handle: handle}
	if l.lists, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		l.closeHandles()
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	// The kernel then lists the table that is asked for, and not all of them, among which a
	// router's has a million routes; since Linux 4.20.
	_ = l.lists.SetStrictCheck(true)
	lo, err := handle.LinkByName("lo")
	if err != nil {
		l.closeHandles()
		return nil, fmt.Errorf("find the interface lo: %w", err)
	}
	l.lo = lo.Attrs().Index
	return l, nil
}

func (l *localRoutes) closeHandles() {
	l.handle.Close()
	if l.lists != nil {
		l.lists.Close()
	}
}

// adopt takes over routes that another process left, and has them refer to the device of
// this one.
func (l *localRoutes) adopt(left []localRoute) error {
	l.mine = bart.Lite{}
	device, _ := l.device()
	for _, r := range left {
		l.mine.Insert(r.prefix)
		if r.device == device {
			continue
		}
		if err := l.handle.RouteReplace(l.route(r.prefix)); err != nil {
			return l.failed("move", r.prefix, err)
		}
	}
	return nil
}

// mortal are the routes that end with this process.
func (l *localRoutes) mortal() *bart.Lite {
	if l.tun == nil {
		return new(bart.Lite)
	}
	return &l.mine
}

// nameOf is the name of a device, or its number where it has none any more.
func (l *localRoutes) nameOf(device int) string {
	if link, err := l.handle.LinkByIndex(device); err == nil {
		return link.Attrs().Name
	}
	return strconv.Itoa(device)
}

// restoreDevice makes the device again, if it is gone. Its routes are gone with it.
func (l *localRoutes) restoreDevice() (restored bool, err error) {
	if l.tun == nil || l.tun.present(l.handle) {
		return false, nil
	}
	if _, missing := l.handle.LinkByName(l.tun.name); missing == nil {
		err = l.tun.raise(l.handle)
	} else {
		err = l.tun.create(l.handle)
	}
	return err == nil, err
}

// device is what the routes refer to, by index and by name.
func (l *localRoutes) device() (int, string) {
	if l.tun != nil {
		return l.tun.index, l.tun.name
	}
	return l.lo, "lo"
}

// wanted returns the routes that table needs, besides those of others.
func (l *localRoutes) wanted(cfg *config.Config, table *Table) (*bart.Lite, error) {
	if !cfg.Steering.ManageRoutes {
		return new(bart.Lite), nil
	}
	var others bart.Lite
	err := l.list(func(r localRoute) {
		if !r.ours || !l.mine.Get(r.prefix) {
			others.Insert(r.prefix)
		}
	})
	return table.outermost(&others), err
}

// localRoute is a route of the table of local addresses.
type localRoute struct {
	prefix netip.Prefix
	ours   bool // an anyport added it
	device int  // index
}

// list calls add for every prefix of the table of local addresses.
func (l *localRoutes) list(add func(localRoute)) error {
	filter := &netlink.Route{Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		all, err := dump(func() ([]netlink.Route, error) {
			return l.lists.RouteListFiltered(family, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
		})
		if err != nil {
			return fmt.Errorf("list the local routes: %w", err)
		}
		for _, r := range all {
			if p, ok := prefixOf(r.Dst); ok {
				add(localRoute{p, r.Protocol == routeProtocol, r.LinkIndex})
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
			return l.failed("remove", c.prefix, err)
		}
		l.mine.Delete(c.prefix)
		return nil
	}
	err := l.handle.RouteAdd(l.route(c.prefix))
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case err != nil:
		return l.failed("add", c.prefix, err)
	}
	l.mine.Insert(c.prefix)
	return nil
}

// failed says what could not be done with a route, and what may be done about it.
func (l *localRoutes) failed(verb string, p netip.Prefix, err error) error {
	_, device := l.device()
	err = fmt.Errorf("%s the route local %s dev %s: %w", verb, p, device, err)
	switch {
	case errors.Is(err, unix.ENETDOWN):
		return fmt.Errorf("%w: bring it up with: ip link set %s up", err, device)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: allow it with: sysctl -w net.ipv6.conf.lo.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0", err)
	}
	return err
}

func (l *localRoutes) route(p netip.Prefix) *netlink.Route {
	device, _ := l.device()
	return routeOn(device, p)
}

func routeOn(device int, p netip.Prefix) *netlink.Route {
	return &netlink.Route{
		LinkIndex: device,
		Dst:       &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
		Table:     unix.RT_TABLE_LOCAL,
		Type:      unix.RTN_LOCAL,
		Scope:     unix.RT_SCOPE_HOST,
		Protocol:  routeProtocol,
	}
}

// close removes the routes, unless they are to be kept, and leaves the device to those who
// have it too.
func (l *localRoutes) close(keep bool) error {
	defer l.closeHandles()
	errs := []error{l.monitor.close()}
	if keep {
		return errors.Join(append(errs, l.tun.close())...)
	}
	for _, c := range l.removal() {
		errs = append(errs, l.do(c))
	}
	return errors.Join(append(errs, l.tun.remove(l.handle))...)
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
