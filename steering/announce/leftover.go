package announce

import (
	"errors"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/host"
)

// Leftover is a route or a device that no living process has.
type Leftover struct {
	Name   string // as `ip` names it
	Remove func() error
}

// Leftovers lists the routes and devices of all anyports in this thread's network namespace, the routes first. The
// caller has made sure that none lives. A device ends with its process, so there are only those that a
// process with a copy of the descriptor keeps, and routes that somebody has moved to another device.
func Leftovers() (all []Leftover, err error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	_ = handle.SetStrictCheck(true)
	filter := &netlink.Route{Table: unix.RT_TABLE_UNSPEC, Protocol: Protocol}
	err = listRoutes(handle, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL, func(r Route, kernel netlink.Route) {
		all = append(all, Leftover{"route " + r.String(), func() error { return ignoreMissing(netlink.RouteDel(&kernel)) }})
	})
	if err != nil {
		return nil, err
	}
	links, err := host.Dump(netlink.LinkList)
	for _, l := range links {
		if host.IsRouteDevice(l) {
			all = append(all, Leftover{"network device " + l.Attrs().Name, func() error { return ignoreMissing(netlink.LinkDel(l)) }})
		}
	}
	return all, err
}

// ignoreMissing: what has gone meanwhile need not be removed.
func ignoreMissing(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// RoutedBy lists the rules of this thread's network namespace that have packets routed by a table, and the VRFs
// that do: this host then routes by what is meant for a routing daemon.
func RoutedBy(table int) (by []string, err error) {
	rules, err := host.Dump(func() ([]netlink.Rule, error) { return netlink.RuleList(netlink.FAMILY_ALL) })
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if r.Table == table {
			by = append(by, "rule "+strings.TrimPrefix(r.String(), "ip rule "))
		}
	}
	links, err := host.Dump(netlink.LinkList)
	for _, l := range links {
		if vrf, ok := l.(*netlink.Vrf); ok && int(vrf.Table) == table {
			by = append(by, "vrf "+vrf.Name)
		}
	}
	return by, err
}
