package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/gaissmai/bart"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/table"
)

// RouteProtocol marks the routes that are ours, as `ip route show proto 169 table local`
// lists them. The list of known ones, iproute2's rt_protos, has nobody at 169.
const RouteProtocol = 169

// LocalRoutes keeps the prefixes local: `ip route add local PREFIX dev DEVICE`. The device
// is lo, or the tun where the routes must end with the process.
type LocalRoutes struct {
	handle *netlink.Handle // of the namespace that it was opened in
	lists  *netlink.Handle // of it, for lists of one table: see OpenLocalRoutes
	lo     int             // interface index
	tun    *tun            // nil: the routes refer to lo
	own    bart.Lite       // the routes that this process answers for
}

// OpenLocalRoutes opens them for the network namespace of this thread.
func OpenLocalRoutes() (*LocalRoutes, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	l := &LocalRoutes{handle: handle}
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

// closeHandles also closes what a failed OpenLocalRoutes has opened.
func (l *LocalRoutes) closeHandles() {
	l.handle.Close()
	if l.lists != nil {
		l.lists.Close()
	}
}

// Adopt takes over routes that another process left, and has them refer to the device of
// this one.
func (l *LocalRoutes) Adopt(left []LocalRoute) error {
	l.own = bart.Lite{}
	device, _ := l.Device()
	for _, r := range left {
		l.own.Insert(r.Prefix)
		if r.Device == device {
			continue
		}
		if err := l.handle.RouteReplace(l.route(r.Prefix)); err != nil {
			return l.routeError("move", r.Prefix, err)
		}
	}
	return nil
}

// DeviceName is the name of a device, or its number where it has none any more.
func (l *LocalRoutes) DeviceName(device int) string {
	if link, err := l.handle.LinkByIndex(device); err == nil {
		return link.Attrs().Name
	}
	return strconv.Itoa(device)
}

// Device is what the routes refer to, by index and by name.
func (l *LocalRoutes) Device() (int, string) {
	if l.tun != nil {
		return l.tun.index, l.tun.name
	}
	return l.lo, "lo"
}

// Wanted returns the routes that table needs, except for those that others keep local.
func (l *LocalRoutes) Wanted(cfg *config.Config, table *table.Table) (*bart.Lite, error) {
	if !cfg.Steering.ManageRoutes {
		return new(bart.Lite), nil
	}
	var others bart.Lite
	err := l.List(func(r LocalRoute) {
		if !r.Ours || !l.own.Get(r.Prefix) {
			others.Insert(r.Prefix)
		}
	})
	return table.Outermost(&others), err
}

// LocalRoute is a route of the table of local addresses.
type LocalRoute struct {
	Prefix netip.Prefix
	Ours   bool // an anyport added it
	Device int  // index
}

// List calls add for every prefix of the table of local addresses.
func (l *LocalRoutes) List(add func(LocalRoute)) error {
	filter := &netlink.Route{Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		all, err := Dump(func() ([]netlink.Route, error) {
			return l.lists.RouteListFiltered(family, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
		})
		if err != nil {
			return fmt.Errorf("list the local routes: %w", err)
		}
		for _, r := range all {
			if p, ok := PrefixOf(r.Dst); ok {
				add(LocalRoute{p, r.Protocol == RouteProtocol, r.LinkIndex})
			}
		}
	}
	return nil
}

// Apply makes the changes, all or none.
func (l *LocalRoutes) Apply(changes []RouteChange) error {
	for i, c := range changes {
		if err := l.applyOne(c); err != nil {
			return errors.Join(err, l.Apply(Inverse(changes[:i])))
		}
	}
	return nil
}

// applyOne makes one change. What is already as it should be is left to whoever did it.
func (l *LocalRoutes) applyOne(c RouteChange) error {
	if !c.add {
		if err := l.handle.RouteDel(l.route(c.prefix)); err != nil && !errors.Is(err, unix.ESRCH) {
			return l.routeError("remove", c.prefix, err)
		}
		l.own.Delete(c.prefix)
		return nil
	}
	err := l.handle.RouteAdd(l.route(c.prefix))
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case err != nil:
		return l.routeError("add", c.prefix, err)
	}
	l.own.Insert(c.prefix)
	return nil
}

// routeError says what could not be done with a route, and what may be done about it.
func (l *LocalRoutes) routeError(verb string, p netip.Prefix, err error) error {
	_, device := l.Device()
	err = fmt.Errorf("%s the route local %s dev %s: %w", verb, p, device, err)
	switch {
	case errors.Is(err, unix.ENETDOWN):
		return fmt.Errorf("%w: bring it up with: ip link set %s up", err, device)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: allow it with: sysctl -w net.ipv6.conf.lo.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0", err)
	}
	return err
}

// route is the local route of a prefix, as this process makes it.
func (l *LocalRoutes) route(p netip.Prefix) *netlink.Route {
	device, _ := l.Device()
	return routeOn(device, p)
}

// routeOn is the route as the kernel has it: scope host is that of all local routes, and the
// protocol number says that it is ours.
func routeOn(device int, p netip.Prefix) *netlink.Route {
	return &netlink.Route{
		LinkIndex: device,
		Dst:       &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
		Table:     unix.RT_TABLE_LOCAL,
		Type:      unix.RTN_LOCAL,
		Scope:     unix.RT_SCOPE_HOST,
		Protocol:  RouteProtocol,
	}
}

// Close removes the routes, unless they are to be kept, and leaves the device to those who
// have it too.
func (l *LocalRoutes) Close(keep bool) error {
	defer l.closeHandles()
	if keep {
		return l.tun.close()
	}
	var errs []error
	for _, c := range l.removal() {
		errs = append(errs, l.applyOne(c))
	}
	return errors.Join(append(errs, l.tun.remove(l.handle))...)
}

// removal is the changes that leave none of them.
func (l *LocalRoutes) removal() []RouteChange { return newRoutePlan(&l.own, &bart.Lite{}).Before }

// LocalPrefixes lists what this thread's network namespace delivers to itself: its
// addresses, and the routes of type local.
func LocalPrefixes() ([]netip.Prefix, error) {
	routes, err := OpenLocalRoutes()
	if err != nil {
		return nil, err
	}
	defer routes.closeHandles()
	var all []netip.Prefix
	err = routes.List(func(r LocalRoute) { all = append(all, r.Prefix) })
	return all, err
}

// Delete removes a route, whoever added it.
func (l *LocalRoutes) Delete(r LocalRoute) error {
	return l.handle.RouteDel(routeOn(r.Device, r.Prefix))
}

// DeleteDevice ends a device for all who have it.
func (l *LocalRoutes) DeleteDevice(d netlink.Link) error { return l.handle.LinkDel(d) }

// Plan is the changes from the routes of this process to those that are wanted.
func (l *LocalRoutes) Plan(wanted *bart.Lite) RoutePlan { return newRoutePlan(&l.own, wanted) }

// Added returns the routes that this process answers for. Only apply may change them.
func (l *LocalRoutes) Added() *bart.Lite { return &l.own }
