package steering

import (
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

// TestInheritRefuses: what cannot serve is told, and leaves the giver serving and no
// descriptor open. With privileges another build would bring a program of its own.
func TestInheritRefuses(t *testing.T) {
	cfg := tabletest.Managed("192.0.2.0/24")
	cfg.Steering.ManageRoutes = false
	old := open(t, cfg)
	addLocal(t, "192.0.2.0/24", unix.RTPROT_STATIC)
	drop(t)
	for _, test := range []struct {
		name, want string
		spoil      func(Inheritance)
	}{
		{"no link", "inherit the steering: link is missing", func(in Inheritance) { removeDescriptor(in, fdLink) }},
		{"a map too few", "the map bindings is missing, and this one has none to put in its place (steering needs CAP_", func(in Inheritance) { removeDescriptor(in, fdMap+bpf.SteerMapBindings) }},
		{"a map of another version", "is of another version", func(in Inheritance) {
			in[fdMap+bpf.SteerMapBindings], in[fdMap+bpf.SteerMapIntervals] = in[fdMap+bpf.SteerMapIntervals], in[fdMap+bpf.SteerMapBindings]
		}},
		{"no program", "inherit the steering: program: ", func(in Inheritance) {
			removeDescriptor(in, fdProgram)
			in[fdProgram] = devNull(t)
		}},
	} { // no subtests: their threads would be in other namespaces
		before := openFiles(t)
		in := copies(t, old.Handover())
		test.spoil(in)
		s, err := Inherit(withListen(cfg), tabletest.Compile(t, cfg.Routes...), in, discard)
		if err == nil {
			s.Release()
		}
		checkError(t, test.name, err, test.want)
		if after := openFiles(t); after != before {
			t.Errorf("%s: %d files were open, now %d", test.name, before, after)
		}
	}
	if got := knockTCP(t, old, netip.MustParseAddrPort("192.0.2.1:80")); got != table.Steer {
		t.Errorf("the giver's packet: %s", got)
	}
}

// TestInheritWorkers: the number of sockets cannot change on the way.
func TestInheritWorkers(t *testing.T) {
	cfg := tabletest.Managed("192.0.2.0/24")
	old := open(t, cfg)
	next := withListen(cfg)
	next.Listen.Workers = 2
	_, err := Inherit(next, tabletest.Compile(t, cfg.Routes...), copies(t, old.Handover()), discard)
	checkError(t, "two workers", err, "listen.workers is 2 and there are 1 tcp sockets to go on with: a restart changes it")
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
