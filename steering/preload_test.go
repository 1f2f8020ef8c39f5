package steering

import (
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/fastpath"
	"anyport/steering/fleet"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/program"
	"anyport/steering/services"
	"anyport/steering/table"
)

// ofAnotherBuild makes s what another build would have left: a map has another name.
func ofAnotherBuild(s *Steering) {
	s.loaded.Maps["former"] = s.loaded.Maps[bpf.SteerMapClosed]
	delete(s.loaded.Maps, bpf.SteerMapClosed)
}

// TestPreloaded: a process without privileges continues with the sockets of a steering of
// another build, and what waits in them, by the preloaded program that came along.
func TestPreloaded(t *testing.T) {
	before, after := tabletest.Managed("192.0.2.0/24"), tabletest.Managed("192.0.2.0/25")
	before.Steering.ManageRoutes, after.Steering.ManageRoutes = false, false
	old := open(t, before)
	addLocal(t, "192.0.2.0/24", unix.RTPROT_STATIC)
	wait(t, "192.0.2.1:80")
	ofAnotherBuild(old)
	loaded := newPreloaded(t)
	drop(t)

	next := inherit(t, after, withPreloaded(t, old, loaded))
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	if err := loaded.Close(); err != nil {
		t.Fatal(err)
	}
	checkWaited(t, next)
	for addr, want := range map[string]table.Verdict{"192.0.2.1:80": table.Steer, "192.0.2.200:80": table.Refuse} {
		if got := knockTCP(t, next, netip.MustParseAddrPort(addr)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	checkTidy(t, next)
	status, err := next.Status()
	if err != nil || !status.Attached || len(status.Foreign) > 0 {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestReclaimFromAnotherBuild: a hand-over that came to nothing changes nothing, whatever
// program was at work meanwhile and is pinned.
func TestReclaimFromAnotherBuild(t *testing.T) {
	netnstest.InNamespace(t)
	dir := filepath.Join(bpffs(t), "anyport")
	hostListeners(t, 80)
	cfg := pinned(dir)
	old := openHere(t, cfg)
	own, err := old.programID()
	if err != nil {
		t.Fatal(err)
	}
	ofAnotherBuild(old)

	in := copies(t, old.Handover())
	after := everyAction()
	after.Steering.Pin = dir
	next, err := Inherit(withListen(after), tabletest.Compile(t, after.Routes...), in, discard)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := next.programID(); err != nil || id == own || pinnedProgram(t, dir) != id {
		t.Errorf("program %d serves and %d is pinned after %d, %v", id, pinnedProgram(t, dir), own, err)
	}
	if got := knockTCP(t, next, netip.MustParseAddrPort("192.0.2.2:80")); got != table.Refuse {
		t.Errorf("an address that the other refuses: %s", got)
	}
	checkReclaims(t, old, next)
	if id := pinnedProgram(t, dir); id != own {
		t.Errorf("program %d is pinned, want %d", id, own)
	}
	status, err := old.Status()
	if err != nil || !status.Attached {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestPinsOfAnotherBuild: a start goes on with the pins of another build, of which nothing
// is left then.
func TestPinsOfAnotherBuild(t *testing.T) {
	netnstest.InNamespace(t)
	dir := filepath.Join(bpffs(t), "anyport")
	host := hostListeners(t, 22)
	leavePinned(t, dir)
	want, left := append(entries(t, dir), "fast_flows", "fast_flows_few", "fast_generation", "fast_program", "fast_usage"), pinnedProgram(t, dir)
	slices.Sort(want)
	if err := os.Rename(filepath.Join(dir, bpf.SteerMapClosed), filepath.Join(dir, "former")); err != nil {
		t.Fatal(err)
	}
	s := openHere(t, pinned(dir))
	for protocol, got := range map[string]table.Verdict{
		"tcp": knockTCP(t, s, netip.MustParseAddrPort("192.0.2.1:22")),
		"udp": knockUDP(t, s, host, netip.MustParseAddrPort("192.0.2.1:22")),
	} {
		if got != table.Steer {
			t.Errorf("%s: %s", protocol, got)
		}
	}
	if diff := cmp.Diff(want, entries(t, dir)); diff != "" || pinnedProgram(t, dir) == left {
		t.Errorf("program %d is pinned after %d, and %s", pinnedProgram(t, dir), left, diff)
	}
}

// TestPreloadedThatFails: where the next process fails once its program is at work, here for
// it may add no route, the former one is back.
func TestPreloadedThatFails(t *testing.T) {
	netnstest.InNamespace(t)
	cfg := withListen(tabletest.Managed("192.0.2.0/24"))
	old, err := Open(cfg, tabletest.Compile(t, cfg.Routes...), discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { old.Release() }) // what is left ends with the namespace
	ofAnotherBuild(old)
	in := withPreloaded(t, old, newPreloaded(t))
	drop(t)
	after := withListen(tabletest.Managed("192.0.2.0/24", "203.0.113.0/24"))
	before := openFiles(t) - len(in)
	next, err := Inherit(after, tabletest.Compile(t, after.Routes...), in, discard)
	if err == nil {
		next.Release()
	}
	checkError(t, "without privileges", err, "203.0.113.0/24")
	if now := openFiles(t); now != before {
		t.Errorf("%d files were open, now %d", before, now)
	}
	if got := knockTCP(t, old, netip.MustParseAddrPort("192.0.2.1:80")); got != table.Steer {
		t.Errorf("the giver's packet: %s", got)
	}
	if state, err := old.linkState(); err != nil || state != linkAttached {
		t.Errorf("the giver's link is %s, %v", state, err)
	}
}

// TestPreload: there is none where the program at work is of this build, and otherwise
// one with as much room.
func TestPreload(t *testing.T) {
	s := open(t, tabletest.Managed("192.0.2.0/24"))
	id, err := s.programID()
	if err != nil {
		t.Fatal(err)
	}
	if loaded, err := Preload(uint32(id)); loaded != nil || err != nil {
		t.Errorf("for this build: %v, %v", loaded, err)
	}
	if got := (*Preloaded)(nil).Handover(); len(got) > 0 {
		t.Errorf("nil hands over %v", got)
	}
	other := anotherProgram(t, s.loaded.Maps[bpf.SteerMapIntervals])
	loaded, err := Preload(other)
	if err != nil || loaded == nil {
		t.Fatalf("for another build: %v, %v", loaded, err)
	}
	defer loaded.Close()
	if got, want := loaded.loaded.Maps[bpf.SteerMapIntervals].MaxEntries(), s.loaded.Maps[bpf.SteerMapIntervals].MaxEntries(); got != want {
		t.Errorf("room for %d intervals, want %d", got, want)
	}
}

// anotherProgram is an sk_lookup program that looks into m.
func anotherProgram(t *testing.T, m *ebpf.Map) (id uint32) {
	t.Helper()
	other, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SkLookup, AttachType: ebpf.AttachSkLookup, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R2, 0),
			asm.StoreMem(asm.RFP, -4, asm.R2, asm.Word),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.LoadMapPtr(asm.R1, m.FD()),
			asm.FnMapLookupElem.Call(),
			asm.Mov.Imm(asm.R0, 1),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	number, err := program.IDOf(other)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(number)
}

func newPreloaded(t *testing.T) *Preloaded {
	t.Helper()
	e, err := program.Load(table.Empty(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var objects bpf.SteerObjects
	if err := e.Assign(&objects); err != nil {
		t.Fatal(err)
	}
	returning, err := loadReturning(&objects)
	if err != nil {
		t.Fatal(err)
	}
	hook, err := services.LoadHook(objects.LocalSockets)
	if err != nil {
		t.Fatal(err)
	}
	fast, err := fastpath.Load()
	if err != nil {
		t.Fatal(err)
	}
	peers, err := fleet.Load(servedMaps(&objects.SteerMaps))
	if err != nil {
		t.Fatal(err)
	}
	loaded := &Preloaded{e, returning, hook, fast, peers}
	t.Cleanup(func() { loaded.Close() })
	return loaded
}

// withPreloaded is what the next process gets.
func withPreloaded(t *testing.T, s *Steering, loaded *Preloaded) Inheritance {
	t.Helper()
	in := copies(t, s.Handover())
	maps.Copy(in, copies(t, loaded.Handover()))
	return in
}

// pinnedProgram is the id of the program that is pinned in dir.
func pinnedProgram(t *testing.T, dir string) ebpf.ProgramID {
	t.Helper()
	p, err := ebpf.LoadPinnedProgram(filepath.Join(dir, bpf.SteerProgSteer), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	id, err := program.IDOf(p)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
