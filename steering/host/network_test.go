package host

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/netnstest"
)

func TestReadHost(t *testing.T) {
	netnstest.InNamespace(t)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth1"}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eth0", "eth1"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
	addr, err := netlink.ParseAddr("10.0.0.9/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(veth, addr); err != nil {
		t.Fatal(err)
	}
	_, far, _ := net.ParseCIDR("10.9.0.0/16")
	for _, r := range []netlink.Route{
		{Gw: net.IPv4(10, 0, 0, 1)},
		{Dst: far, MultiPath: []*netlink.NexthopInfo{{Gw: net.IPv4(10, 0, 0, 2)}, {Gw: net.IPv4(10, 0, 0, 3)}}},
		{Dst: &net.IPNet{IP: net.IPv4(192, 0, 2, 0), Mask: net.CIDRMask(24, 32)}, Type: unix.RTN_BLACKHOLE},
	} {
		if err := netlink.RouteAdd(&r); err != nil {
			t.Fatal(err)
		}
	}

	got, err := ReadNetwork()
	if err != nil {
		t.Fatal(err)
	}
	linkLocal := func(a Attached) bool { return a.Prefix.Addr().IsLinkLocalUnicast() }
	got.Addresses = slices.DeleteFunc(got.Addresses, linkLocal)
	got.Subnets = slices.DeleteFunc(got.Subnets, linkLocal)
	want := &Network{
		Addresses: []Attached{
			{netip.MustParsePrefix("127.0.0.1/32"), "lo"},
			{netip.MustParsePrefix("10.0.0.9/32"), "eth0"},
			{netip.MustParsePrefix("::1/128"), "lo"},
		},
		Subnets:  []Attached{{netip.MustParsePrefix("10.0.0.0/24"), "eth0"}},
		Gateways: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
}
