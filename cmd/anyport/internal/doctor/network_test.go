package doctor

import (
	"net/netip"
	"testing"

	"anyport/cmd/anyport/internal/admin"
	"anyport/steering/host"
)

func unmanaged(f *Facts) { f.Config.Steering.ManageRoutes = false }

func local(prefixes ...string) func(*Facts) {
	return func(f *Facts) {
		for _, p := range prefixes {
			f.Local = append(f.Local, prefix(p))
		}
	}
}

func TestIPv6(t *testing.T) {
	run(t, "ipv6", []example{
		{"IPv6 off",
			sysctlIs("net/ipv6/conf/all/disable_ipv6", "1"),
			[]Status{Failure}, "switched off", "sysctl -w net.ipv6.conf.all.disable_ipv6=0"},
		{"IPv6 off on lo",
			sysctlIs("net/ipv6/conf/lo/disable_ipv6", "1"),
			[]Status{Failure}, "switched off", "sysctl -w net.ipv6.conf.all.disable_ipv6=0"},
		{"no IPv6 at all",
			noSysctl("net/ipv6/conf/all/disable_ipv6"),
			[]Status{Failure}, "no IPv6", "boot without ipv6.disable=1"},
		{"IPv6 off and not needed",
			all(serve("192.0.2.0/24"), sysctlIs("net/ipv6/conf/all/disable_ipv6", "1")),
			[]Status{OK}, "off", ""},
	})
}

func TestRoutes(t *testing.T) {
	run(t, "routes", []example{
		{"lo down",
			func(f *Facts) { f.Links[0].Up = false },
			[]Status{Failure}, "lo is down", "ip link set lo up"},
		{"a prefix over a gateway",
			func(f *Facts) { f.HostErr = problem },
			[]Status{Failure}, "covers the gateway", "${EDITOR:-vi} +5 " + file},
		{"prefixes that are not local",
			unmanaged,
			[]Status{Failure, Failure}, "192.0.2.0/24 is not local", "ip route add local 192.0.2.0/24 dev lo"},
		{"one prefix is local, in a larger one",
			all(unmanaged, local("192.0.0.0/16")),
			[]Status{Failure}, "2001:db8:1::/48 is not local", "ip route add local 2001:db8:1::/48 dev lo"},
		{"half of a prefix is local",
			all(unmanaged, serve("192.0.2.0/24"), local("192.0.2.0/25")),
			[]Status{Failure}, "192.0.2.0/24 is not local", "ip route add local 192.0.2.0/24 dev lo"},
		{"one route for two prefixes",
			all(unmanaged, serve("192.0.2.0/24", "192.0.2.7/32")),
			[]Status{Failure}, "192.0.2.0/24 is not local", "ip route add local 192.0.2.0/24 dev lo"},
	})
}

func TestNeighbours(t *testing.T) {
	run(t, "neighbours", []example{
		{"IPv6 on-link",
			serve("2001:db8:c:0:5::/80"),
			[]Status{Warning}, "lies in 2001:db8:c::/64, the subnet on eth0", "ip -6 route add 2001:db8:c:0:5::/80 via 2001:db8:c::2   # on the router of eth0"},
		{"the host's own IPv6 address",
			serve("2001:db8:c::2/128"),
			[]Status{OK}, "", ""},
		{"IPv6 on a link without neighbours",
			all(serve("2001:db8:c:0:5::/80"), func(f *Facts) { f.Links[1].Neighbours = false }),
			[]Status{OK}, "", ""},
		{"IPv4 on-link, which ARP answers for",
			all(serve("198.51.100.0/26"), func(f *Facts) {
				f.Host.Subnets = append(f.Host.Subnets, host.Attached{Prefix: prefix("198.51.100.0/24"), Interface: "eth0"})
			}),
			[]Status{OK}, "", ""},
	})
}

// runs makes an anyport run, which misses this.
func runs(missing ...string) func(*Facts) {
	return func(f *Facts) { f.Running = &admin.Status{Steering: admin.SteeringStatus{Missing: missing}} }
}

// TestRoutesOfARunning: what a running anyport misses counts; if it says that it misses nothing, every
// prefix must be local.
func TestRoutesOfARunning(t *testing.T) {
	everything := local("192.0.2.0/24", "2001:db8:1::/48")
	run(t, "routes", []example{
		{"all is local",
			all(runs(), everything),
			[]Status{OK}, "manage_routes makes 2 prefixes local", ""},
		{"the file has changed since",
			all(runs(), local("192.0.2.0/24")),
			[]Status{Failure}, "2001:db8:1::/48 is not local, though anyport runs", "/usr/bin/anyport reload -c " + file},
		{"it misses a route",
			all(runs("route local 192.0.2.0/24 dev anyport0"), everything),
			[]Status{Failure}, "route local 192.0.2.0/24 dev anyport0", "# restore it, and keep others from removing it; then: /usr/bin/anyport reload -c " + file},
		{"it misses a route, which is then not reported twice",
			runs("route local 192.0.2.0/24 dev anyport0"),
			[]Status{Failure}, "route local 192.0.2.0/24", "# restore it, and keep others from removing it; then: /usr/bin/anyport reload -c " + file},
		{"egress prefixes need a local route too",
			all(unmanaged, local("192.0.2.0/24", "2001:db8:1::/48"), func(f *Facts) { f.Config.Routes[0].EgressPrefixes = []netip.Prefix{prefix("10.1.0.0/24")} }),
			[]Status{Failure}, "10.1.0.0/24 is not local", "ip route add local 10.1.0.0/24 dev lo"},
		{"no file",
			noFile,
			[]Status{OK}, "no file, no prefixes", ""},
	})
}

// TestNeighboursWithoutAnAddress: a subnet may be on a link by a route alone.
func TestNeighboursWithoutAnAddress(t *testing.T) {
	run(t, "neighbours", []example{
		{"no address in the subnet",
			all(serve("2001:db8:d:0:5::/80"), func(f *Facts) {
				f.Host.Subnets = append(f.Host.Subnets, host.Attached{Prefix: prefix("2001:db8:d::/64"), Interface: "eth0"})
			}),
			[]Status{Warning}, "lies in 2001:db8:d::/64", "ip -6 route add 2001:db8:d:0:5::/80 via ADDRESS-OF-THIS-HOST   # on the router of eth0"},
		{"a subnet on a link that is not listed",
			all(serve("2001:db8:d:0:5::/80"), func(f *Facts) {
				f.Host.Subnets = append(f.Host.Subnets, host.Attached{Prefix: prefix("2001:db8:d::/64"), Interface: "eth7"})
			}),
			[]Status{OK}, "no IPv6 prefix lies in a subnet", ""},
		{"a prefix larger than the subnet",
			serve("2001:db8:c::/48"),
			[]Status{OK}, "no IPv6 prefix lies in a subnet", ""},
	})
}
