package steering

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"anyport/config"
	"anyport/steering/fastpath"
	"anyport/steering/ingress"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
)

// openByFilters opens as on a kernel without TCX.
func openByFilters(t *testing.T, cfg *config.Config) *Steering {
	t.Helper()
	o, err := fastpath.Load()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if err := o.Attached.UseFilters(); err != nil {
		t.Fatal(err)
	}
	in := Inheritance{}
	in.addFast(o.Descriptors(), fdPreloaded)
	return inherit(t, cfg, copies(t, in))
}

// filterDevices are those that have a filter of some anyport, one for each.
func filterDevices(t *testing.T) (devices []string) {
	t.Helper()
	all, err := ingress.Filters()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		devices = append(devices, f.Device)
	}
	slices.Sort(devices)
	return devices
}

func expectFilters(t *testing.T, when string, want ...string) {
	t.Helper()
	if got := filterDevices(t); !slices.Equal(got, want) {
		t.Errorf("%s: filters at %v, want %v", when, got, want)
	}
}

// expectNoQdisc: what anyport has added it has removed.
func expectNoQdisc(t *testing.T) {
	t.Helper()
	for _, name := range []string{"c0", "o0"} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		all, err := netlink.QdiscList(l)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(all, func(q netlink.Qdisc) bool { return q.Type() == "clsact" }) {
			t.Errorf("%s has a qdisc", name)
		}
	}
}

// TestFiltersPinned: with pins the filters of a process that was killed go on, the next process has them for
// its own, and puts back what somebody removes. A stop and unload leave nothing.
func TestFiltersPinned(t *testing.T) {
	netnstest.InNamespace(t)
	addNeighbours(t)
	cfg := pinned(filepath.Join(bpffs(t), "anyport"))
	killed := openByFilters(t, cfg)
	if status := killed.fastPathStatus(); status.Way != ingress.Clsact || len(attachedTo(killed)) != 2 {
		t.Fatalf("%+v", status)
	}
	if err := killed.FastPath().Admit(aFlow); err != nil {
		t.Fatal(err)
	}
	if err := killed.Release(); err != nil { // as the kernel does
		t.Fatal(err)
	}
	expectFilters(t, "after a kill", "c0", "o0")
	if idle(t) {
		t.Error("the filters do nothing, although the steering is pinned")
	}
	next := openHere(t, cfg)
	found := adopt(t, next)
	if found != 1 || len(attachedTo(next)) != 2 || next.fastPathStatus().Way != ingress.Clsact {
		t.Errorf("%d flows, %+v", found, next.fastPathStatus())
	}
	expectFilters(t, "after the restart", "c0", "o0")
	removed, err := ingress.Filters()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range removed {
		if err := f.Remove(); err != nil {
			t.Error(err)
		}
	}
	if err := next.FastPath().Update(); err != nil {
		t.Error(err)
	}
	expectFilters(t, "after they were removed", "c0", "o0")
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	expectFilters(t, "after a stop")
	expectNoQdisc(t)

	if err := openByFilters(t, cfg).Release(); err != nil {
		t.Fatal(err)
	}
	said, err := Unload(cfg, discard)
	if err != nil || !strings.Contains(strings.Join(said, "\n"), "filter anyport_fast at the ingress of c0 (tc)") {
		t.Errorf("unload: %v, %v", said, err)
	}
	expectFilters(t, "after unload")
	expectNoQdisc(t)
}

// idle reports whether all filters do nothing.
func idle(t *testing.T) bool {
	t.Helper()
	all, err := ingress.Filters()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if is, err := f.Idle(); err != nil || !is {
			return false
		}
	}
	return true
}

// TestFiltersKilled: without pins the filters of a process that was killed do nothing, and the next process
// removes them, but not those of another instance that lives. Both forward over the same devices.
func TestFiltersKilled(t *testing.T) {
	netnstest.InNamespace(t)
	addNeighbours(t)
	lives := openByFilters(t, tabletest.Managed("198.51.100.0/24"))
	killed := openByFilters(t, tabletest.Managed("192.0.2.0/24"))
	for _, s := range []*Steering{lives, killed} {
		if err := s.FastPath().Update(); err != nil || len(attachedTo(s)) != 2 {
			t.Errorf("two instances: attached to %v, %v", attachedTo(s), err)
		}
	}
	expectFilters(t, "two instances", "c0", "c0", "o0", "o0")
	if err := killed.Release(); err != nil {
		t.Fatal(err)
	}
	next := openByFilters(t, tabletest.Managed("192.0.2.0/24"))
	for deadline := time.Now().Add(20 * time.Second); len(filterDevices(t)) > 4 && time.Now().Before(deadline); { // the kernel empties the slot a moment later
		time.Sleep(10 * time.Millisecond)
		next.sweepFilters()
	}
	expectFilters(t, "after the restart", "c0", "c0", "o0", "o0")
	if err := lives.FastPath().Update(); err != nil || len(attachedTo(lives)) != 2 {
		t.Errorf("the other instance is attached to %v, %v", attachedTo(lives), err)
	}
	if _, err := Unload(tabletest.Managed(), discard); err != nil {
		t.Error(err)
	}
	expectFilters(t, "after unload", "c0", "c0", "o0", "o0")
	for _, s := range []*Steering{next, lives} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	expectFilters(t, "after both have stopped")
	expectNoQdisc(t)
}
