package steering

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/host"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// TestHandover: the next process continues with the sockets and what waits in them, the
// generation, the counters and the local routes, by a table of its own.
func TestHandover(t *testing.T) {
	old := open(t, tabletest.Managed("192.0.2.0/24", "198.51.100.0/24"))
	wait(t, "192.0.2.1:80")

	next := inherit(t, tabletest.Managed("192.0.2.0/24", "203.0.113.0/24"), copies(t, old.Handover()))
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	checkWaited(t, next)
	checkVerdicts(t, newJudge(t, next), map[string]table.Verdict{"192.0.2.1:80": table.Steer, "198.51.100.1:80": table.Pass, "203.0.113.1:80": table.Steer})
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128", "192.0.2.0/24", "203.0.113.0/24"})
	checkCounted(t, next, "all", table.Steer, 3) // one of them met the old process
	checkTidy(t, next)
	status, err := next.Status()
	if err != nil || !status.Attached || status.Generation != 2 {
		t.Errorf("%+v, %v", status, err)
	}

	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128"})
}

// TestHandoverOfDrops: the sockets that swallow go along, and are not swapped.
func TestHandoverOfDrops(t *testing.T) {
	old := open(t, everyAction())
	next := inherit(t, everyAction(), copies(t, old.Handover()))
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	checkSockets(t, next, 1, 1)
	if got := knockTCP(t, next, netip.MustParseAddrPort("192.0.2.3:80")); got != table.Drop {
		t.Errorf("an address that drops: %s", got)
	}
}

// TestInheritWithoutPrivileges: it needs none where it manages no routes.
func TestInheritWithoutPrivileges(t *testing.T) {
	before, after := tabletest.Managed("192.0.2.0/24"), tabletest.Managed("192.0.2.0/25")
	before.Steering.ManageRoutes, after.Steering.ManageRoutes = false, false
	old := open(t, before)
	addLocal(t, "192.0.2.0/24", unix.RTPROT_STATIC)
	drop(t)
	next := inherit(t, after, copies(t, old.Handover()))
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]table.Verdict{"192.0.2.1:80": table.Steer, "192.0.2.200:80": table.Refuse} {
		if got := knockTCP(t, next, netip.MustParseAddrPort(addr)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// TestReclaim: a hand-over that came to nothing changes nothing.
func TestReclaim(t *testing.T) {
	old := open(t, tabletest.Managed("192.0.2.0/24"))
	next := inherit(t, everyAction(), copies(t, old.Handover()))
	checkReclaims(t, old, next)
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128", "192.0.2.0/24"})
	checkTidy(t, old)
}

// checkReclaims: once next has given up, old has what everyAction refused.
func checkReclaims(t *testing.T, old, next *Steering) {
	t.Helper()
	if err := next.Release(); err != nil {
		t.Fatal(err)
	}
	if err := old.Reclaim(); err != nil {
		t.Fatal(err)
	}
	if got := knockTCP(t, old, netip.MustParseAddrPort("192.0.2.2:80")); got != table.Steer {
		t.Errorf("an address that the other refused: %s", got)
	}
}

// TestInheritSockets: a store may have kept only the sockets.
func TestInheritSockets(t *testing.T) {
	old := open(t, tabletest.Managed("192.0.2.0/24"))
	in := copies(t, old.Handover())
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	for name := range maps.Clone(in) {
		if !strings.HasPrefix(name, "tcp/") && !strings.HasPrefix(name, "udp/") {
			removeDescriptor(in, name)
		}
	}
	next := inherit(t, tabletest.Managed("192.0.2.0/24"), in)
	if got := knockTCP(t, next, netip.MustParseAddrPort("192.0.2.1:80")); got != table.Steer {
		t.Errorf("a packet for the socket from the store: %s", got)
	}
	if len(in) > 0 {
		t.Errorf("nobody took %v", in)
	}
}

// TestHandoverNames: they must be fit for a store of file descriptors, sd_notify(3).
func TestHandoverNames(t *testing.T) {
	s := open(t, everyAction())
	got := slices.Sorted(maps.Keys(s.Handover()))
	want := []string{fdGraceInner, fdGrace, fdLink, fdProgram, fdReturning, fdServices, fdServiceListeners, fdServiceCgroups, "dropping tcp/0", "dropping udp/0", "fast/map/fast_flows", "fast/map/fast_flows_few", "fast/map/fast_generation", "fast/map/fast_usage", "fast/program", "tcp/0", "tun", "udp/0"}
	for name := range s.loaded.Maps {
		want = append(want, fdMap+name)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, name := range got {
		if len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == ':' }) {
			t.Errorf("%q cannot stand in FDNAME=", name)
		}
	}
}

// wait has a client wait for whoever accepts.
func wait(t *testing.T, dst string) {
	t.Helper()
	client, err := net.Dial("tcp", dst)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
}

// checkWaited: what waited for the old process is the next one's.
func checkWaited(t *testing.T, next *Steering) {
	t.Helper()
	fd, _, err := unix.Accept(next.TCP()[0])
	if err != nil {
		t.Fatalf("what waited for the old process: %v", err)
	}
	unix.Close(fd)
}

func inherit(t *testing.T, cfg *config.Config, in Inheritance) *Steering {
	t.Helper()
	s, err := Inherit(withListen(cfg), tabletest.Compile(t, cfg.Routes...), in, discard)
	return opened(t, s, err)
}

// checkTidy: the other process's table is erased, once there is time for it.
func checkTidy(t *testing.T, s *Steering) {
	t.Helper()
	if _, err := s.check(time.Now(), host.Changes{}); err != nil {
		t.Fatal(err)
	}
	keys := 0
	count := func(bpf.SteerPrefixV4, bpf.SteerPolicy) { keys++ }
	if err := bpfmaps.Each(s.objects.PrefixesV4, count); err != nil {
		t.Fatal(err)
	}
	if err := bpfmaps.EachSingly(s.objects.PrefixesV4, count); err != nil {
		t.Fatal(err)
	}
	if keys != 2*s.table.Prefixes() { // it has IPv4 alone
		t.Errorf("%d prefixes in two counts, want %d in each", keys, s.table.Prefixes())
	}
}

// copies are what arrives when in is sent to another process.
func copies(t *testing.T, in Inheritance) Inheritance {
	t.Helper()
	sent := Inheritance{}
	for name, fd := range in {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		sent[name] = copied
	}
	return sent
}

// removeDescriptor closes a descriptor and takes it out of in.
func removeDescriptor(in Inheritance, name string) {
	unix.Close(in[name])
	delete(in, name)
}

// drop gives up all capabilities of this thread.
func drop(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var left [2]unix.CapUserData
	if program.OlderThan(program.KernelRelease(), 5, 19) { // there every bpf(2) call takes it
		left[1].Effective, left[1].Permitted = 1<<(unix.CAP_BPF-32), 1<<(unix.CAP_BPF-32)
	}
	if err := unix.Capset(&header, &left[0]); err != nil {
		t.Fatal(err)
	}
}
