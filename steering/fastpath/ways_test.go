package fastpath

import (
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/bpf/fastflow"
)

// TestGateway: a client behind a router is sent its answers through that router, also if that has only an
// address of the other family.
func TestGateway(t *testing.T) {
	for name, test := range map[string]struct{ family, client, route string }{
		"IPv4":           {"IPv4", "198.51.100.7", "198.51.100.0/24 via 10.1.0.2"},
		"IPv6":           {"IPv6", "2001:db8:7::7", "2001:db8:7::/48 via fd01::2"},
		"IPv4 over IPv6": {"IPv4", "198.51.100.7", "198.51.100.0/24 via inet6 fd01::2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.shell("ip route add " + test.route)
			r.in(r.client, func() error {
				return exec.Command("sh", "-c", "sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; ip addr add "+test.client+" dev lo").Run()
			})
			f := ends[test.family]
			f.Client, f.Idle = netip.AddrPortFrom(netip.MustParseAddr(test.client), 4000), time.Hour
			client, origin := r.socket(r.client, f.Client.String()), r.socket(r.origin, f.Origin.String())
			p := r.open()
			r.check(p.Admit(f))
			r.exchange(client, origin, f, true)
			if used, _ := p.Usage(f); used.ToOrigin.Packets != 1 || used.ToClient.Packets != 1 {
				t.Errorf("forwarded: %+v", used)
			}
		})
	}
}

// TestEncapsulated: the program cannot do what such a route demands.
func TestEncapsulated(t *testing.T) {
	r := newRig(t)
	p := r.open()
	r.shell("ip -6 route add 2001:db8:7::/48 encap seg6 mode encap segs fd01::9 dev c0")
	r.shell("ip -6 route add 2001:db8:8::/48 nexthop encap seg6 mode encap segs fd01::9 via fd01::9 dev c0 nexthop encap seg6 mode encap segs fd01::8 via fd01::8 dev c0")
	get := p.ways.get
	refused := func(kernel string) {
		t.Helper()
		f := ends["IPv6"]
		for i, client := range []string{"[2001:db8:7::7]:4000", "[2001:db8:8::7]:4000"} {
			f.Client, f.Idle = netip.MustParseAddrPort(client), time.Hour
			if err := p.Admit(f); err != fastflow.Device {
				t.Errorf("%s: %d: a route with segments: %v", kernel, i, err)
			}
		}
		r.check(p.Admit(ends["IPv6"]))
		p.Leave(ends["IPv6"])
		p.Remove(ends["IPv6"])
		p.ways.forget()
	}
	refused("this one")
	p.ways.hidesEncap = true
	p.ways.get = func(dst net.IP, o *netlink.RouteGetOptions) ([]netlink.Route, error) {
		routes, err := get(dst, o)
		for i := range routes {
			if !o.FIBMatch {
				routes[i].Encap = nil
			}
		}
		return routes, err
	}
	refused("before Linux 6.1")
	r.shell("ip link add t0 type vxlan external dstport 4789; ip link set t0 up; ip addr add 10.9.0.1/24 dev t0")
	r.check(p.Serve(true))
	if why := off(p, "t0"); why != "it is an external tunnel" {
		t.Errorf("an external tunnel: %q", why)
	}
}

// TestWayOfBeforeAChange: the kernel answers, a route changes, a check of the known ways misses the answer, and only
// then of notes it. No later check would find that it is wrong.
func TestWayOfBeforeAChange(t *testing.T) {
	devices := map[int]device{1: {"old", 1500}, 2: {"new", 1500}}
	w, through := &ways{known: map[addresses]way{}}, 1
	w.get = func(net.IP, *netlink.RouteGetOptions) ([]netlink.Route, error) {
		answer := []netlink.Route{{LinkIndex: through, Type: unix.RTN_UNICAST}}
		if through == 1 {
			through = 2
			if w.changed(devices) {
				t.Error("a change is seen of what was never asked about")
			}
		}
		return answer, nil
	}
	for range 2 {
		if got, err := w.of(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), 1, devices); err != nil || got.device != 2 {
			t.Errorf("the way is %+v, %v", got, err)
		}
	}
	if w.changed(devices) {
		t.Error("the kernel answers the same as before")
	}
}
