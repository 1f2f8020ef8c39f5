package steering

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"

	"anyport/config"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func TestReadHost(t *testing.T) {
	inNamespace(t)
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

	got, err := ReadHost()
	if err != nil {
		t.Fatal(err)
	}
	linkLocal := func(a Attached) bool { return a.Prefix.Addr().IsLinkLocalUnicast() }
	got.Addresses = slices.DeleteFunc(got.Addresses, linkLocal)
	got.Subnets = slices.DeleteFunc(got.Subnets, linkLocal)
	want := &Host{
		Addresses: []Attached{
			{netip.MustParsePrefix("127.0.0.1/32"), "lo"},
			{netip.MustParsePrefix("10.0.0.9/32"), "eth0"},
			{netip.MustParsePrefix("::1/128"), "lo"},
		},
		Subnets:  []Attached{{netip.MustParsePrefix("10.0.0.0/24"), "eth0"}},
		Gateways: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
}

func TestReadListeners(t *testing.T) {
	inNamespace(t)
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	for network, addr := range map[string]string{"tcp4": "127.0.0.1:22", "tcp6": "[::]:80", "tcp": ":443"} {
		listener, err := lc.Listen(context.Background(), network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	unconnected, err := net.ListenPacket("udp4", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer unconnected.Close()
	connected, err := net.Dial("udp4", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()

	got, err := ReadListeners()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b Listener) int { return int(a.Addr.Port()) - int(b.Addr.Port()) })
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	name, pid := string(comm[:len(comm)-1]), os.Getpid()
	want := []Listener{
		{config.TCP, netip.MustParseAddrPort("127.0.0.1:22"), false, name, pid},
		{config.UDP, netip.MustParseAddrPort("127.0.0.1:53"), false, name, pid},
		{config.TCP, netip.MustParseAddrPort("[::]:80"), true, name, pid},
		{config.TCP, netip.MustParseAddrPort("[::]:443"), false, name, pid},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
}

// TestReadListenersOwn: a socket that this process opens or closes meanwhile is never
// taken for another's.
func TestReadListenersOwn(t *testing.T) {
	inNamespace(t)
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	var busy sync.WaitGroup
	defer busy.Wait()
	over := make(chan struct{})
	defer close(over)
	busy.Go(func() { // ended by over
		runtime.LockOSThread() // and never unlocked: the thread ends in this namespace
		if err := netns.Set(here); err != nil {
			t.Error(err)
		}
		openAndClose(over)
	})
	times := 50
	if testing.Short() { // on an emulated machine
		times = 5
	}
	for range times {
		got, err := ReadListeners()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range got {
			if l.PID != os.Getpid() {
				t.Fatalf("a socket of this process is of %s: %v", l.Owner(), l.Addr)
			}
		}
	}
}

// openAndClose has a few sockets open at a time, each for a moment.
func openAndClose(over <-chan struct{}) {
	for {
		var open [16]net.PacketConn
		for i := range open {
			open[i], _ = net.ListenPacket("udp4", "127.0.0.1:0")
		}
		for _, conn := range open {
			if conn != nil {
				conn.Close()
			}
		}
		select {
		case <-over:
			return
		default:
		}
	}
}
