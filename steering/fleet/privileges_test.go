package fleet

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/fastpath"
	"anyport/steering/netnstest"
)

// capabilities leaves this thread, which ends with the test, only those.
func capabilities(t testing.TB, only ...int) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var left [2]unix.CapUserData
	for _, c := range only {
		left[c/32].Effective |= 1 << (c % 32)
		left[c/32].Permitted |= 1 << (c % 32)
	}
	if err := unix.Capset(&header, &left[0]); err != nil {
		t.Fatal(err)
	}
}

// cable makes the device back, with the address 10.9.0.1.
func cable(t testing.TB) {
	t.Helper()
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "back"
	err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "far"})
	for _, name := range []string{"back", "far"} {
		if err == nil {
			err = setUp(name)
		}
	}
	link, _ := netlink.LinkByName("back")
	addr, _ := netlink.ParseAddr("10.9.0.1/24")
	if err == nil {
		err = netlink.AddrAdd(link, addr)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestWithoutPrivileges: to load takes CAP_BPF and CAP_NET_ADMIN, and all that follows takes nothing.
func TestWithoutPrivileges(t *testing.T) {
	netnstest.InNamespace(t)
	cable(t)
	served := newServed(t)
	capabilities(t, unix.CAP_BPF, unix.CAP_NET_ADMIN)
	o, err := Load(served)
	if err != nil {
		t.Fatal(err)
	}
	capabilities(t)
	f := onCable(t, o)
	s := f.Status()
	if s.Off != "" || len(s.Asking) != 2 || s.Asking[0].Off != "" || s.Asking[1].Off != "" {
		t.Errorf("%+v", s)
	}
	if err := f.objects.learnt.Put(body{1}, [4]uint32{1}); err != nil {
		t.Error(err)
	}
}

// TestFastPath: the fast path and the fleet have their programs at the same devices, whoever comes first,
// and the fast path is first.
func TestFastPath(t *testing.T) {
	netnstest.InNamespace(t)
	cable(t)
	o, err := Load(newServed(t))
	if err != nil {
		t.Fatal(err)
	}
	onCable(t, o)
	objects, err := fastpath.Load()
	if err != nil {
		t.Fatal(err)
	}
	p, err := fastpath.Open(objects, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if err := p.Serve(true); err != nil {
		t.Fatal(err)
	}
	for _, d := range p.Devices() {
		if d.Off == "" {
			t.Errorf("%s: the fast path does not see what else is there", d.Name)
		}
	}
	if err := p.Tolerate(o.Programs()...); err != nil {
		t.Fatal(err)
	}
	if err := p.Update(); err != nil {
		t.Fatal(err)
	}
	for _, d := range p.Devices() {
		if d.Off != "" {
			t.Errorf("%s: %s", d.Name, d.Off)
		}
	}
	order(t, "back", "forward_admitted", "take_asked", "ask_peers")
	order(t, "far", "forward_admitted", "ask_peers")
}

// order wants the programs at the ingress of a device.
func order(t testing.TB, device string, want ...string) {
	t.Helper()
	l, err := netlink.LinkByName(device)
	if err != nil {
		t.Fatal(err)
	}
	result, err := link.QueryPrograms(link.QueryOptions{Target: l.Attrs().Index, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, at := range result.Programs {
		p, err := ebpf.NewProgramFromID(at.ID)
		if err != nil {
			t.Fatal(err)
		}
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Name)
		p.Close()
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", device, got, want)
	}
	for i := range want {
		if !strings.HasPrefix(want[i], got[i]) { // the kernel has 15 bytes of it
			t.Errorf("%s: %v, want %v", device, got, want)
		}
	}
}

// onCable opens the fleet with one peer, at the other end of the cable.
func onCable(t *testing.T, o *Objects) *Fleet {
	t.Helper()
	f, err := Open(o, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	options := Options{Device: "back", Local: netip.MustParseAddr("10.9.0.1"), Peers: []netip.Addr{netip.MustParseAddr("10.9.0.2")}, Key: key}
	if err := f.Set(options); err != nil {
		t.Fatal(err)
	}
	return f
}
