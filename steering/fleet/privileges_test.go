package fleet

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/steering/fastpath"
	"anyport/steering/ingress"
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

// TestWithoutPrivileges: to load takes CAP_BPF and CAP_NET_ADMIN, and all that follows takes nothing, except for
// filters where the kernel has no TCX.
func TestWithoutPrivileges(t *testing.T) {
	netnstest.InNamespace(t)
	cable(t)
	served := newServed(t)
	needed := []int{unix.CAP_BPF, unix.CAP_NET_ADMIN}
	if ingress.Forecast() == ingress.Clsact { // the verifier of kernels before 6.6
		needed = append(needed, unix.CAP_PERFMON)
	}
	capabilities(t, needed...)
	o, err := Load(served)
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		t.Logf("%+v", refused)
	}
	if err != nil {
		t.Fatal(err)
	}
	if o.ask.links.Hook == nil {
		capabilities(t)
	} else { // filters of tc are added with it
		capabilities(t, unix.CAP_NET_ADMIN)
	}
	f := onCable(t, o)
	s := f.Status()
	if s.Off != "" || len(s.Asking) != 2 || s.Asking[0].Off != "" || s.Asking[1].Off != "" {
		t.Errorf("%+v", s)
	}
	if err := f.objects.learnt.Put(body{1}, [4]uint32{1}); err != nil {
		t.Error(err)
	}
}

// TestFastPath: the fast path and the fleet have their programs at the same devices, whoever comes first and
// however they are attached, and the fast path is first.
func TestFastPath(t *testing.T) {
	for _, filters := range []bool{false, true} {
		t.Run(fmt.Sprintf("filters %v", filters), func(t *testing.T) {
			netnstest.InNamespace(t)
			cable(t)
			o, err := Load(newServed(t))
			if err == nil && filters {
				err = errors.Join(o.ask.links.UseFilters(), o.take.links.UseFilters())
			}
			if err != nil {
				t.Fatal(err)
			}
			if onCable(t, o).Status().Way == ingress.Clsact != (filters || o.ask.links.Hook != nil) {
				t.Error("the status has another way")
			}
			besideFastPath(t, o, filters)
		})
	}
}

func besideFastPath(t *testing.T, o *Objects, filters bool) {
	objects, err := fastpath.Load()
	if err == nil && filters {
		err = objects.Attached.UseFilters()
	}
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
	if p.Way() == ingress.Clsact {
		filtersAt(t, "anyport_fast back", "anyport_fast far", "anyport_take back", "anyport_ask back", "anyport_ask far")
		return
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

// filtersAt wants these filters, which run in the order of their preferences.
func filtersAt(t *testing.T, want ...string) {
	t.Helper()
	all, err := ingress.Filters()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range all {
		got = append(got, f.Kind.Name+" "+f.Device)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("filters %v, want %v", got, want)
	}
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
