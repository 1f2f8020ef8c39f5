package doctor

import (
	"context"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/host"
	"anyport/steering/services"
	"anyport/steering/table"
)

// readLinks reads the interfaces with what the kernel derives from several places: rp_filter is the
// larger of that of the interface and of "all".
func readLinks(_ context.Context, f *Facts) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the interfaces: %w", err)
	}
	ways, err := defaultRoutes()
	if err != nil {
		return err
	}
	for _, l := range links {
		a := l.Attrs()
		if host.IsTUN(l) { // no packet arrives there
			continue
		}
		f.Links = append(f.Links, Link{
			Name:        a.Name,
			Up:          a.Flags&net.FlagUp != 0,
			Loopback:    a.Flags&net.FlagLoopback != 0,
			Port:        a.MasterIndex != 0,
			Neighbours:  a.RawFlags&(unix.IFF_NOARP|unix.IFF_LOOPBACK|unix.IFF_POINTOPOINT) == 0,
			DefaultV4:   ways[a.Index],
			ReversePath: max(ofLink("all", "rp_filter"), ofLink(a.Name, "rp_filter")),

			ValidatesMark: ofLink("all", "src_valid_mark")+ofLink(a.Name, "src_valid_mark") > 0 && ofLink("all", "accept_local")+ofLink(a.Name, "accept_local") == 0,
		})
	}
	return nil
}

// ofLink reads an IPv4 sysctl of an interface; 0 for one that has just gone. The path has slashes for dots,
// since the name of an interface may have dots (eth0.7).
func ofLink(link, name string) int {
	text, _ := sysctl(path.Join("net/ipv4/conf", link, name))
	n, _ := strconv.Atoi(text)
	return n
}

// defaultRoutes returns the indexes of the interfaces that an IPv4 default route of
// any table leaves through.
func defaultRoutes() (map[int]bool, error) {
	routes, err := netlink.RouteListFiltered(unix.AF_INET, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list the routes: %w", err)
	}
	ways := make(map[int]bool)
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		ways[r.LinkIndex] = true
		for _, path := range r.MultiPath {
			ways[path.LinkIndex] = true
		}
	}
	return ways, nil
}

// readReturns asks the kernel about the origins of transparent routes.
func readReturns(_ context.Context, f *Facts) error {
	for _, r := range f.config().Routes {
		for _, o := range r.Origins {
			if !r.Transparent || !o.Addr.IsValid() || slices.ContainsFunc(f.Returns, func(w host.ReturnWay) bool { return w.Origin == o.Addr }) {
				continue
			}
			way, err := host.ReadReturnWay(o.Addr)
			if err != nil {
				return err
			}
			f.Returns = append(f.Returns, way)
		}
	}
	return nil
}

// readLocal reads what the local table delivers to this host, whoever has put it there.
func readLocal(_ context.Context, f *Facts) (err error) {
	f.Local, err = host.LocalPrefixes()
	return err
}

// readHost reads the addresses and subnets of this host, and checks the file against them as "anyport
// run" would.
func readHost(_ context.Context, f *Facts) (err error) {
	if f.Host, err = host.ReadNetwork(); err == nil && f.Config != nil {
		f.HostErr = host.CheckNetwork(f.Config, f.Host)
	}
	return err
}

// readServices looks for the sockets of the services that routes lead to.
func readServices(_ context.Context, f *Facts) error {
	f.Cgroup2 = services.CheckCgroup2()
	if f.Config != nil {
		f.Services, f.ServiceErr = services.Check(f.Config)
	}
	return nil
}

// readListeners finds the listeners that the file would take the ports of. Those of the running anyport
// are its own.
func readListeners(_ context.Context, f *Facts) error {
	if f.Config == nil || f.Host == nil {
		return nil
	}
	table, err := table.Compile(f.Config)
	if err != nil {
		return err
	}
	listeners, err := host.ReadListeners()
	if err != nil {
		return err
	}
	f.Listeners = host.Shadowed(table, listeners, f.Host, f.Services.Owns)
	if f.Running != nil {
		f.Listeners = slices.DeleteFunc(f.Listeners, func(s host.Shadow) bool { return s.PID == f.Running.PID })
	}
	return nil
}
