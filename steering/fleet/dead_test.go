package fleet

import (
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/ingress"
	"anyport/steering/netnstest"
)

// TestDead: while somebody holds the links of a dead process, the packets of other hosts' conns go on to
// them, and who has a conn is learnt. The next process puts its own programs into the links.
func TestDead(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	r.join(false)
	r.serve(0, both[0])
	asker := r.edges[1]
	if asker.fleet.Status().Way == ingress.Clsact {
		t.Skip("before Linux 6.6 there are no links: the kernel ends the programs with their process")
	}
	options := asker.fleet.options
	given := copies(t, asker.fleet)
	for name, fd := range given {
		if !strings.HasPrefix(name, fdLink) {
			delete(given, name)
			if err := unix.Close(fd); err != nil {
				t.Fatal(err)
			}
		}
	}
	counters, err := asker.fleet.objects.counters.Clone()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { counters.Close() })
	count := func(which bpf.FleetCounter) (sum uint64) {
		var each []uint64
		if err := counters.Lookup(uint32(which), &each); err != nil {
			t.Fatal(err)
		}
		for _, n := range each {
			sum += n
		}
		return sum
	}
	if err := asker.fleet.Release(); err != nil {
		t.Fatal(err)
	}
	c := r.dial(0, both[0])
	r.route(1)
	r.askAll([]*conn{c})
	r.eventually("the dead process' program has learnt", func() bool { return count(bpf.FleetCounterCOUNT_LEARNT) > 0 })
	straight := count(bpf.FleetCounterCOUNT_STRAIGHT)
	r.askAll([]*conn{c})
	if count(bpf.FleetCounterCOUNT_STRAIGHT) == straight {
		t.Error("what was learnt does not count")
	}
	var next *Fleet
	netnstest.In(t, asker.ns, func() error {
		before, err := FromDescriptors(given)
		if err != nil {
			return err
		}
		if !before.OnlyLinks() || before.CheckBuild(asker.served) == nil || before.Programs() != nil {
			t.Errorf("%+v is more than links", before)
		}
		o, err := Load(asker.served)
		if err == nil {
			next, err = Open(o, before, slog.New(slog.DiscardHandler))
		}
		return err
	})
	t.Cleanup(func() { next.Close() })
	if a := next.Descriptors(); len(a) != len(next.objects.programs())+len(next.objects.maps())+len(given) {
		t.Errorf("descriptors for the process after the next: %v", a)
	}
	if err := next.Set(options); err != nil {
		t.Fatal(err)
	}
	if !next.Relinked() || next.Relinked() {
		t.Error("the links are known to be other ones once")
	}
	before := count(bpf.FleetCounterCOUNT_STRAIGHT) + count(bpf.FleetCounterCOUNT_ASKED)
	r.eventually("the next process knows its peer", func() bool { return next.Status().Peers[0].Alive })
	r.askAll([]*conn{c})
	if count(bpf.FleetCounterCOUNT_STRAIGHT)+count(bpf.FleetCounterCOUNT_ASKED) != before || next.Status().Counts.Asked == 0 {
		t.Errorf("the dead process' programs go on: %+v", next.Status())
	}
}
