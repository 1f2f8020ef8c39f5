package steering

import (
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"anyport/bpf"
	"anyport/config"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestHandover: the next process goes on with the sockets and what waits in them, the
// generation, the counters and the local routes, by a table of its own.
func TestHandover(t *testing.T) {
	old := open(t, managed("192.0.2.0/24", "198.51.100.0/24"))
	waiting, err := net.Dial("tcp", "192.0.2.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()

	next := inherit(t, managed("192.0.2.0/24", "203.0.113.0/24"), copies(t, old.Handover()))
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	fd, _, err := unix.Accept(next.TCP()[0])
	if err != nil {
		t.Fatalf("what waited for the old process: %v", err)
	}
	unix.Close(fd)
	checkVerdicts(t, newJudge(t, next), map[string]Verdict{"192.0.2.1:80": Steer, "198.51.100.1:80": Pass, "203.0.113.1:80": Steer})
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128", "192.0.2.0/24", "203.0.113.0/24"})
	checkCounted(t, next, "all", Steer, 3) // one of them met the old process
	checkEmptyHalf(t, next)
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
	if got := knockTCP(t, next, netip.MustParseAddrPort("192.0.2.3:80")); got != Drop {
		t.Errorf("an address that drops: %s", got)
	}
}

// TestInheritWithoutPrivileges: it needs none where it manages no routes.
func TestInheritWithoutPrivileges(t *testing.T) {
	before, after := managed("192.0.2.0/24"), managed("192.0.2.0/25")
	before.Steering.ManageRoutes, after.Steering.ManageRoutes = false, false
	old := open(t, before)
	addLocal(t, "192.0.2.0/24", unix.RTPROT_STATIC)
	drop(t)
	next := inherit(t, after, copies(t, old.Handover()))
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]Verdict{"192.0.2.1:80": Steer, "192.0.2.200:80": Refuse} {
		if got := knockTCP(t, next, netip.MustParseAddrPort(addr)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// TestReclaim: a hand-over that came to nothing changes nothing.
func TestReclaim(t *testing.T) {
	old := open(t, managed("192.0.2.0/24"))
	next := inherit(t, everyAction(), copies(t, old.Handover()))
	if err := next.Release(); err != nil {
		t.Fatal(err)
	}
	if err := old.Reclaim(); err != nil {
		t.Fatal(err)
	}
	if got := knockTCP(t, old, netip.MustParseAddrPort("192.0.2.2:80")); got != Steer {
		t.Errorf("an address that the other refused: %s", got)
	}
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128", "192.0.2.0/24"})
	checkEmptyHalf(t, old)
}

// TestInheritRefuses: what cannot serve is told, and leaves the giver serving and no
// descriptor open.
func TestInheritRefuses(t *testing.T) {
	cfg := managed("192.0.2.0/24")
	old := open(t, cfg)
	for _, test := range []struct {
		name, want string
		spoil      func(Inheritance)
	}{
		{"no link", "inherit the steering: link is missing", func(in Inheritance) { spare(in, fdLink) }},
		{"a map too few", "inherit the steering: the map bindings is missing", func(in Inheritance) { spare(in, fdMap+bpf.SteerMapBindings) }},
		{"a map of another version", "is of another version", func(in Inheritance) {
			in[fdMap+bpf.SteerMapBindings], in[fdMap+bpf.SteerMapIntervals] = in[fdMap+bpf.SteerMapIntervals], in[fdMap+bpf.SteerMapBindings]
		}},
		{"no program", "inherit the steering: program: ", func(in Inheritance) {
			spare(in, fdProgram)
			in[fdProgram] = devNull(t)
		}},
	} { // no subtests: their threads would be in other namespaces
		before := openFiles(t)
		in := copies(t, old.Handover())
		test.spoil(in)
		s, err := Inherit(withListen(cfg), compile(t, cfg.Routes...), in, discard)
		if err == nil {
			s.Release()
		}
		checkError(t, test.name, err, test.want)
		if after := openFiles(t); after != before {
			t.Errorf("%s: %d files were open, now %d", test.name, before, after)
		}
	}
	if got := knockTCP(t, old, netip.MustParseAddrPort("192.0.2.1:80")); got != Steer {
		t.Errorf("the giver's packet: %s", got)
	}
}

// TestInheritWorkers: the number of sockets cannot change on the way.
func TestInheritWorkers(t *testing.T) {
	cfg := managed("192.0.2.0/24")
	old := open(t, cfg)
	next := withListen(cfg)
	next.Listen.Workers = 2
	_, err := Inherit(next, compile(t, cfg.Routes...), copies(t, old.Handover()), discard)
	checkError(t, "two workers", err, "listen.workers is 2 and there are 1 tcp sockets to go on with: a restart changes it")
}

// TestInheritSockets: a store may have kept the sockets alone.
func TestInheritSockets(t *testing.T) {
	old := open(t, managed("192.0.2.0/24"))
	in := copies(t, old.Handover())
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	for name := range maps.Clone(in) {
		if !strings.HasPrefix(name, "tcp/") && !strings.HasPrefix(name, "udp/") {
			spare(in, name)
		}
	}
	next := inherit(t, managed("192.0.2.0/24"), in)
	if got := knockTCP(t, next, netip.MustParseAddrPort("192.0.2.1:80")); got != Steer {
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
	want := []string{fdGraceInner, fdGrace, fdLink, fdProgram, "dropping tcp/0", "dropping udp/0", "tcp/0", "udp/0"}
	for name := range s.maps {
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

func inherit(t *testing.T, cfg *config.Config, in Inheritance) *Steering {
	t.Helper()
	s, err := Inherit(withListen(cfg), compile(t, cfg.Routes...), in, discard)
	return opened(t, s, err)
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

// spare takes a descriptor out of in.
func spare(in Inheritance, name string) {
	unix.Close(in[name])
	delete(in, name)
}

func devNull(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// drop gives up all capabilities of this thread.
func drop(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Fatal(err)
	}
}
