package steering

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"anyport/bpf/fastflow"
	"anyport/config"
	"anyport/steering/fastpath"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
)

// aFlow has its client and its origin behind the devices that addNeighbours makes.
var aFlow = fastflow.Flow{
	Client: netip.MustParseAddrPort("10.1.0.2:4000"), Dst: netip.MustParseAddrPort("192.0.2.1:53"),
	Source: netip.MustParseAddrPort("10.2.0.1:5000"), Origin: netip.MustParseAddrPort("10.2.0.2:7000"),
	Idle: time.Minute,
}

// addNeighbours makes two devices with a network each.
func addNeighbours(t *testing.T) {
	t.Helper()
	for name, network := range map[string]string{"c0": "10.1.0.1/24", "o0": "10.2.0.1/24"} {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = name
		link := &netlink.Veth{LinkAttrs: attributes, PeerName: name + "peer"}
		addr, err := netlink.ParseAddr(network)
		if err == nil {
			err = netlink.LinkAdd(link)
		}
		if err == nil {
			err = netlink.AddrAdd(link, addr)
		}
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// attachedTo lists the devices that have the program.
func attachedTo(s *Steering) (all []string) {
	for _, d := range s.FastPath().Devices() {
		if d.Off == "" {
			all = append(all, d.Name)
		}
	}
	return all
}

// TestFastPathLife: the program is attached where a route needs it, a reload ends what was admitted,
// another process goes on, and nothing stays behind.
func TestFastPathLife(t *testing.T) {
	netnstest.InNamespace(t)
	addNeighbours(t)
	old := openHere(t, tabletest.Managed("192.0.2.0/24"))
	if got := attachedTo(old); len(got) != 2 {
		t.Fatalf("attached to %v", got)
	}
	before := old.FastPath().Generation()
	if err := old.FastPath().Admit(aFlow); err != nil {
		t.Fatal(err)
	}
	replace(t, old, tabletest.Managed("192.0.2.0/24", "198.51.100.0/24"))
	if after := old.FastPath().Generation(); after == before {
		t.Error("a reload does not raise the generation")
	}

	next := inherit(t, tabletest.Managed("192.0.2.0/24"), copies(t, old.Handover()))
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	if got := attachedTo(next); len(got) != 2 {
		t.Errorf("after an upgrade it is attached to %v", got)
	}
	if next.FastPath().Generation() == before {
		t.Error("the next process begins with an old generation")
	}
	tcpOnly := tabletest.Managed("192.0.2.0/24")
	for _, r := range tcpOnly.Routes {
		r.Protocols = []config.Protocol{config.TCP}
	}
	replace(t, next, tcpOnly)
	if got := attachedTo(next); len(got) != 0 {
		t.Errorf("without UDP it is attached to %v", got)
	}
	if err := next.FastPath().Admit(aFlow); err != fastflow.Device {
		t.Errorf("a flow over devices without the program: %v", err)
	}
}

// adopt has a steering adopt the flows in the kernel, which can only be aFlow, and returns how many there were.
func adopt(t *testing.T, s *Steering) (found int) {
	t.Helper()
	left, err := s.FastPath().Adopt()
	if err != nil {
		t.Fatal(err)
	}
	for f := range left {
		found++
		if f != aFlow {
			t.Errorf("adopted %+v", f)
		}
	}
	return found
}

// TestFastPathKilled: with pins, the flows of a process that was killed are forwarded on, and the next
// process knows them; a stop and unload leave nothing of it.
func TestFastPathKilled(t *testing.T) {
	netnstest.InNamespace(t)
	addNeighbours(t)
	dir := filepath.Join(bpffs(t), "anyport")
	killed := openHere(t, pinned(dir))
	if err := killed.FastPath().Admit(aFlow); err != nil {
		t.Fatal(err)
	}
	before := killed.FastPath().Generation()
	if err := killed.Release(); err != nil { // as the kernel does
		t.Fatal(err)
	}
	next := openHere(t, pinned(dir))
	found := adopt(t, next)
	if found != 1 || len(attachedTo(next)) != 2 {
		t.Errorf("%d flows, attached to %v", found, attachedTo(next))
	}
	if next.FastPath().Generation() != before {
		t.Error("the flows of the process before were ended before anybody has adopted them")
	}

	fastFiles := func() (names []string) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "fast_") {
				names = append(names, e.Name())
			}
		}
		return names
	}
	const files = 7 // the program, four maps, two links
	if names := fastFiles(); len(names) != files {
		t.Errorf("pinned: %v", names)
	}
	for _, name := range fastFiles() {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := next.pinFast(); err != nil || len(fastFiles()) != files {
		t.Errorf("pinned again: %v, %v", fastFiles(), err)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if names := fastFiles(); len(names) > 0 {
		t.Errorf("left by a stop: %v", names)
	}

	killed = openHere(t, pinned(dir))
	if err := killed.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := Unload(pinned(dir), discard); err != nil {
		t.Fatal(err)
	}
	if names := fastFiles(); len(names) > 0 {
		t.Errorf("left by unload: %v", names)
	}
}

// TestFastPathReclaimed: a new process of another build has put its fast path in the place of the old one's, and
// then does not serve. The old one decides on all flows again, and its own fast path outlives it.
func TestFastPathReclaimed(t *testing.T) {
	netnstest.InNamespace(t)
	addNeighbours(t)
	dir := filepath.Join(bpffs(t), "anyport")
	old := openHere(t, pinned(dir))
	before := old.FastPath().Generation()
	in := copies(t, old.Handover())
	given, err := in.takeFast("")
	if err != nil {
		t.Fatal(err)
	}
	other, err := fastpath.Load()
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(other.TakeLinks(given), old.pins.RemoveFast(), old.pins.KeepFast(other), other.Close(), in.Close())
	if err = errors.Join(err, old.Reclaim()); err != nil {
		t.Fatal(err)
	}

	if old.FastPath().Generation() == before {
		t.Error("the generation is that of before, though the other process may have raised it")
	}
	if err := errors.Join(old.FastPath().Admit(aFlow), old.Release()); err != nil { // it is killed
		t.Fatal(err)
	}
	next := openHere(t, pinned(dir))
	if found := adopt(t, next); found != 1 || len(attachedTo(next)) != 2 {
		t.Errorf("%d flows are adopted, attached to %v", found, attachedTo(next))
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Unload(pinned(dir), discard); err != nil {
		t.Fatal(err)
	}
}
