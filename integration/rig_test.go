package integration

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"anyport/integration/lab"
)

// The addresses of the rig. The client reaches all else through the edge.
const (
	clientV4 = "198.51.100.2"
	clientV6 = "2001:db8:c::2"
	edgeV4   = "198.51.100.1" // the edge as the client sees it
	edgeV6   = "2001:db8:c::1"
	originV4 = "10.0.0.5"
	originV6 = "fd00:5::5"
)

// The prefixes that the tests serve, and one address in each.
const (
	servedV4 = "192.0.2.0/24"
	servedV6 = "2001:db8:1::/48"
	dstV4    = "192.0.2.7"
	dstV6    = "2001:db8:1::7"
)

// rig is client ── edge ── origin.
type rig struct{ client, edge, origin *host }

// newRig makes three hosts and the two links between them; all end with the test.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{newHost(t, "client"), newHost(t, "edge"), newHost(t, "origin")}
	join(t, r.client.port("edge0", clientV4+"/24", clientV6+"/64"), r.edge.port("client0", edgeV4+"/24", edgeV6+"/64"))
	join(t, r.edge.port("origin0", "10.0.0.1/24", "fd00:5::1/64"),
		r.origin.port("edge0", originV4+"/24", "10.0.0.6/24", originV6+"/64"))
	r.client.route(t, "0.0.0.0/0", edgeV4)
	r.client.route(t, "::/0", edgeV6)
	return r
}

func (h *host) port(device string, addresses ...string) lab.Port {
	return lab.Port{Host: h.Host, Device: device, Addresses: addresses}
}

// join links two hosts and waits until their addresses can be used.
func join(t *testing.T, a, b lab.Port) {
	t.Helper()
	if err := lab.Join(a, b); err != nil {
		t.Fatal(err)
	}
	awaitAddresses(t, a)
	awaitAddresses(t, b)
}

// awaitAddresses waits for the kernel's own routes to the addresses, and to IPv6
// multicast, by which neighbours are found: those of IPv6 come when both ends are up,
// and then a little later.
func awaitAddresses(t *testing.T, p lab.Port) {
	t.Helper()
	missing, device, multicast := map[string]bool{}, 0, map[int]bool{}
	for _, address := range p.Addresses {
		missing[netip.MustParsePrefix(address).Addr().String()] = true
	}
	updates, done := make(chan netlink.RouteUpdate, 256), make(chan struct{})
	defer close(done)
	handle := netns.NsHandle(p.FD())
	err := netlink.RouteSubscribeWithOptions(updates, done, netlink.RouteSubscribeOptions{Namespace: &handle, ListExisting: true})
	if err != nil {
		t.Fatal(err)
	}
	for len(missing) > 0 || !multicast[device] {
		select {
		case update := <-updates:
			switch update.Route.Type {
			case unix.RTN_MULTICAST:
				multicast[update.Route.LinkIndex] = true
			case unix.RTN_LOCAL:
				if missing[update.Dst.IP.String()] {
					device = update.Route.LinkIndex
				}
				delete(missing, update.Dst.IP.String())
			}
		case <-time.After(patience):
			t.Fatalf("%s: no address %v, or no multicast on %s", p.Name, missing, p.Device)
		}
	}
}

// route sends a prefix by way of a gateway.
func (h *host) route(t *testing.T, prefix, gateway string) {
	t.Helper()
	if err := h.Route(prefix, gateway); err != nil {
		t.Fatal(err)
	}
}

// local makes a prefix the host's own.
func (h *host) local(t *testing.T, prefix string) {
	t.Helper()
	if err := h.Local(prefix, 0); err != nil {
		t.Fatal(err)
	}
}

// answerAllErrors lifts the kernel's bound on ICMP errors, about one a second to each
// client, for tests that wait for each of them.
func (h *host) answerAllErrors(t *testing.T) {
	t.Helper()
	h.sysctl(t, map[string]string{"net/ipv4/icmp_ratemask": "0", "net/ipv6/icmp/ratelimit": "0"})
}

// dialFrom has the host's sockets dial from ports first to last.
func (h *host) dialFrom(t *testing.T, first, last int) {
	t.Helper()
	h.sysctl(t, map[string]string{"net/ipv4/ip_local_port_range": fmt.Sprint(first, " ", last)})
}

func (h *host) sysctl(t *testing.T, values map[string]string) {
	t.Helper()
	if err := h.Sysctl(values); err != nil {
		t.Fatal(err)
	}
}
