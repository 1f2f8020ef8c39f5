package announce

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/host"
)

// Protocol marks these routes, as `ip route show table N proto 170` lists them. iproute2's list of known
// protocols, rt_protos, has nobody at 170, and 169 are the local routes.
const Protocol = 170

// routes are the routes of this process in the kernel: unicast routes without a gateway, on a device
// of their own. BIRD and FRR take the address of their session as next hop for such a route, and
// the kernel removes it with the device however this process ends.
//
// A blackhole route or one on lo would stay. Nothing routes by the table, so no packet
// comes to the device.
type routes struct {
	device *host.RouteDevice
	handle *netlink.Handle // of the namespace that it was opened in
	own    routeSet        // that were added and not removed by this process
}

// openRoutes makes the device in the network namespace of this thread.
func openRoutes() (*routes, error) {
	device, err := host.OpenRouteDevice()
	if err != nil {
		return nil, err
	}
	return newRoutes(device)
}

// inheritRoutes takes over the device of another process, and the routes on it. It owns the descriptor.
func inheritRoutes(fd int) (*routes, error) {
	device, err := host.InheritRouteDevice(fd)
	if err != nil {
		return nil, err
	}
	r, err := newRoutes(device)
	if err != nil {
		return nil, err
	}
	if r.own, err = r.list(unix.RT_TABLE_UNSPEC); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func newRoutes(device *host.RouteDevice) (*routes, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(err, device.Close())
	}
	// The kernel then lists what is asked for, and not the million routes of a router; since Linux 4.20.
	_ = handle.SetStrictCheck(true)
	return &routes{device: device, handle: handle, own: routeSet{}}, nil
}

// set makes the routes those that are wanted. What fails it tries again the next time.
func (r *routes) set(wanted routeSet) error {
	add, remove := plan(r.own, wanted)
	var errs []error
	var missing []Route
	for _, route := range add {
		if err := r.add(route); err != nil {
			errs, missing = append(errs, err), append(missing, route)
			continue
		}
		r.own[route] = true
	}
	for _, route := range removable(remove, missing) {
		err := r.handle.RouteDel(r.route(route))
		if err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("remove the route %s: %w", route, err))
			continue
		}
		delete(r.own, route)
	}
	return firstOf(errs)
}

// add also succeeds if the route is there already and is ours.
func (r *routes) add(route Route) error {
	err := r.handle.RouteAdd(r.route(route))
	if errors.Is(err, unix.EEXIST) {
		found, listErr := r.list(route.Table)
		if listErr == nil && found[route] {
			return nil
		}
		return fmt.Errorf("another program's route has the place of ours: ip route show table %d %s", route.Table, route.Prefix)
	}
	if err != nil {
		return fmt.Errorf("add the route %s dev %s: %w", route, r.device.Name(), err)
	}
	return nil
}

// restore adds again what others have removed, and makes the device again if they have removed that.
func (r *routes) restore() (back []Route, err error) {
	made, err := r.device.Restore()
	if err != nil {
		return nil, fmt.Errorf("make the network device of announce.table again: %w", err)
	}
	found := routeSet{}
	for _, table := range r.tables() {
		if made { // the kernel has removed its routes with it
			break
		}
		there, err := r.list(table)
		if err != nil {
			return nil, err
		}
		for route := range there {
			found[route] = true
		}
	}
	for _, route := range lost(r.own, found) {
		if err := r.add(route); err != nil {
			delete(r.own, route) // set tries again, and reports the error
			continue
		}
		back = append(back, route)
	}
	return back, nil
}

// tables are the tables that have routes of ours: one, or two for a moment after a reload.
func (r *routes) tables() (all []int) {
	seen := map[int]bool{}
	for route := range r.own {
		if !seen[route.Table] {
			seen[route.Table] = true
			all = append(all, route.Table)
		}
	}
	return all
}

// list returns the routes of this device in a table, or in all.
func (r *routes) list(table int) (routeSet, error) {
	found := routeSet{}
	filter := &netlink.Route{Table: table, Protocol: Protocol, LinkIndex: r.device.Index()}
	err := listRoutes(r.handle, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_OIF, func(route Route, _ netlink.Route) { found[route] = true })
	return found, err
}

// listRoutes calls found for each route of both families that the filter matches.
func listRoutes(handle *netlink.Handle, filter *netlink.Route, mask uint64, found func(Route, netlink.Route)) error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		all, err := host.Dump(func() ([]netlink.Route, error) { return handle.RouteListFiltered(family, filter, mask) })
		if errors.Is(err, unix.ENOENT) { // the table has never had a route
			continue
		}
		if err != nil {
			return fmt.Errorf("list the routes of announce.table: %w", err)
		}
		for _, r := range all {
			if prefix, ok := host.PrefixOf(r.Dst); ok {
				found(Route{r.Table, prefix, r.Priority}, r)
			}
		}
	}
	return nil
}

// route is the route as the kernel has it.
func (r *routes) route(route Route) *netlink.Route {
	return &netlink.Route{
		LinkIndex: r.device.Index(),
		Dst:       &net.IPNet{IP: route.Prefix.Addr().AsSlice(), Mask: net.CIDRMask(route.Prefix.Bits(), route.Prefix.Addr().BitLen())},
		Table:     route.Table,
		Priority:  route.Metric,
		Type:      unix.RTN_UNICAST,
		Scope:     unix.RT_SCOPE_LINK,
		Protocol:  Protocol,
	}
}

// close closes the descriptor of the device. Its routes go with the last one.
func (r *routes) close() error {
	r.handle.Close()
	return r.device.Close()
}

// String is the route as `ip route` takes it.
func (r Route) String() string {
	return fmt.Sprintf("%s table %d metric %d", r.Prefix, r.Table, r.Metric)
}

// firstOf joins the first few of many errors.
func firstOf(errs []error) error {
	const named = 3
	if more := len(errs) - named; more > 0 {
		errs = append(errs[:named:named], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}
