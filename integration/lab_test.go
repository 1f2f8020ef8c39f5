package integration

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The addresses of the lab. The client reaches all else through the edge.
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

// lab is client ── edge ── origin.
type lab struct{ client, edge, origin *host }

// newLab makes three hosts and the two links between them; all end with the test.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{newHost(t, "client"), newHost(t, "edge"), newHost(t, "origin")}
	join(t, port{l.client, "edge0", []string{clientV4 + "/24", clientV6 + "/64"}},
		port{l.edge, "client0", []string{edgeV4 + "/24", edgeV6 + "/64"}})
	join(t, port{l.edge, "origin0", []string{"10.0.0.1/24", "fd00:5::1/64"}},
		port{l.origin, "edge0", []string{originV4 + "/24", "10.0.0.6/24", originV6 + "/64"}})
	l.client.route(t, "0.0.0.0/0", edgeV4)
	l.client.route(t, "::/0", edgeV6)
	return l
}

// port is one end of a link.
type port struct {
	*host
	name      string
	addresses []string
}

// join lays a veth pair, MTU 1500, between two hosts.
func join(t *testing.T, a, b port) {
	t.Helper()
	err := a.net.LinkAdd(&netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: a.name, MTU: 1500},
		PeerName:      b.name,
		PeerNamespace: netlink.NsFd(b.handle),
	})
	if err != nil {
		t.Fatalf("veth %s–%s: %v", a.host.name, b.host.name, err)
	}
	for _, end := range []port{a, b} {
		end.up(t)
	}
	for _, end := range []port{a, b} {
		end.awaitAddresses(t)
	}
}

// awaitAddresses waits for the kernel's own routes to the addresses: those of IPv6
// come when both ends are up, and then a little later.
func (p port) awaitAddresses(t *testing.T) {
	t.Helper()
	missing := map[string]bool{}
	for _, address := range p.addresses {
		missing[netip.MustParsePrefix(address).Addr().String()] = true
	}
	updates, done := make(chan netlink.RouteUpdate, 256), make(chan struct{})
	defer close(done)
	err := netlink.RouteSubscribeWithOptions(updates, done, netlink.RouteSubscribeOptions{Namespace: &p.handle, ListExisting: true})
	if err != nil {
		t.Fatal(err)
	}
	for len(missing) > 0 {
		select {
		case update := <-updates:
			if update.Route.Type == unix.RTN_LOCAL {
				delete(missing, update.Dst.IP.String())
			}
		case <-time.After(patience):
			t.Fatalf("%s: no address %v", p.host.name, missing)
		}
	}
}

func (p port) up(t *testing.T) {
	t.Helper()
	link, err := p.net.LinkByName(p.name)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.net.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	for _, address := range p.addresses {
		p.address(t, p.name, address)
	}
}

// address gives a link of the host one more address.
func (h *host) address(t *testing.T, device, address string) {
	t.Helper()
	link, err := h.net.LinkByName(device)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := netlink.ParseAddr(address)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Flags = unix.IFA_F_NODAD
	if err := h.net.AddrAdd(link, parsed); err != nil {
		t.Fatalf("%s: address %s: %v", h.name, address, err)
	}
}

// route sends a prefix by way of a gateway.
func (h *host) route(t *testing.T, prefix, gateway string) {
	t.Helper()
	_, dst, err := net.ParseCIDR(prefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.net.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(gateway)}); err != nil {
		t.Fatalf("%s: route %s via %s: %v", h.name, prefix, gateway, err)
	}
}
