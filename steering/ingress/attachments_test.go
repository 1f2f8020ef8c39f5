package ingress

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"anyport/steering/netnstest"
)

// counter is a program that counts packets, and lets the next one decide.
type counter struct {
	program *ebpf.Program
	counts  *ebpf.Map
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	counts, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	check(t, err)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, counts.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, unspec).WithSymbol("end"),
		asm.Return(),
	}})
	check(t, err)
	t.Cleanup(func() { p.Close(); counts.Close() })
	return &counter{p, counts}
}

func (c *counter) count(t *testing.T) (n uint64) {
	t.Helper()
	check(t, c.counts.Lookup(uint32(0), &n))
	return n
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wire is a device of this thread's namespace, and a way to have a packet arrive at it.
type wire struct {
	t     *testing.T
	index int
	far   *net.UDPConn
}

func newWire(t *testing.T) *wire {
	t.Helper()
	netnstest.InNamespace(t)
	here, err := netns.Get()
	check(t, err)
	t.Cleanup(func() { here.Close() })
	other := netnstest.New(t)
	netnstest.Connect(t, netnstest.End{Namespace: here, Device: "c0", Addresses: []string{"10.1.0.1/24"}},
		netnstest.End{Namespace: other, Device: "eth0", Addresses: []string{"10.1.0.2/24"}})
	w := &wire{t: t}
	l, err := netlink.LinkByName("c0")
	check(t, err)
	w.index = l.Attrs().Index
	netnstest.In(t, other, func() (err error) {
		w.far, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(10, 1, 0, 1), Port: 9})
		return err
	})
	t.Cleanup(func() { w.far.Close() })
	return w
}

// runs checks whether a program sees what arrives.
func (w *wire) runs(c *counter, want bool) {
	w.t.Helper()
	before := c.count(w.t)
	deadline := time.Now().Add(20 * time.Second)
	for range 50 {
		_, _ = w.far.Write([]byte("datagram")) // nobody listens, and ICMP may say so
		time.Sleep(time.Millisecond)
	}
	for want && c.count(w.t) == before && time.Now().Before(deadline) {
		_, _ = w.far.Write([]byte("datagram"))
		time.Sleep(10 * time.Millisecond)
	}
	if got := c.count(w.t) > before; got != want {
		w.t.Errorf("the program runs: %v, want %v", got, want)
	}
}

// filters are those at the ingress, by preference, handle and name.
func (w *wire) filters() (all []string) {
	w.t.Helper()
	found, err := list(w.index)
	check(w.t, err)
	for _, f := range found {
		name := f.Type()
		if b, ok := f.(*netlink.BpfFilter); ok {
			name = b.Name
		}
		all = append(all, fmt.Sprintf("%d/%x %s", f.Attrs().Priority, f.Attrs().Handle, name))
	}
	slices.Sort(all)
	return all
}

func (w *wire) wants(want ...string) {
	w.t.Helper()
	if got := w.filters(); !slices.Equal(got, want) {
		w.t.Errorf("there are %q, want %q", got, want)
	}
}

// hasQdisc reports whether the device has clsact.
func (w *wire) hasQdisc() bool {
	w.t.Helper()
	all, err := netlink.QdiscList(device(w.index))
	check(w.t, err)
	return slices.ContainsFunc(all, func(q netlink.Qdisc) bool { return q.Type() == "clsact" })
}

// byFilters attaches c as on a kernel without TCX.
func byFilters(t *testing.T, kind Kind) *Attachments {
	t.Helper()
	a := New(kind)
	check(t, a.UseFilters())
	t.Cleanup(func() { a.Close() })
	return a
}

// TestWays: in either way a program runs from Attach to DetachOthers, another takes its place, and what ends
// with the last descriptor ends without a word to the kernel.
func TestWays(t *testing.T) {
	for _, way := range []Way{TCX, Clsact} {
		t.Run(string(way), func(t *testing.T) {
			w := newWire(t)
			one, two := newCounter(t), newCounter(t)
			if way == TCX && !hasTCX(one.program) {
				t.Skip("this kernel has no TCX")
			}
			open := func() *Attachments {
				if way == Clsact {
					return byFilters(t, Forward)
				}
				return New(Forward)
			}
			a := open()
			if a.Way() != way {
				t.Fatalf("the way is %s", a.Way())
			}
			for range 2 {
				check(t, a.Attach(one.program, w.index, link.Head()))
			}
			w.runs(one, true)
			check(t, a.DetachOthers(map[int]bool{w.index: true}))
			w.runs(one, true)

			b := open()
			check(t, b.Take(a, two.program))
			check(t, a.Close())
			w.runs(two, true)
			w.runs(one, false)
			check(t, b.DetachOthers(nil))
			w.runs(two, false)
			check(t, b.Attach(two.program, w.index, link.Head()))
			w.runs(two, true)

			check(t, b.Close())
			eventually(t, "the program ends", func() bool {
				before := two.count(t)
				_, _ = w.far.Write([]byte("datagram"))
				time.Sleep(10 * time.Millisecond)
				return two.count(t) == before
			})
			w.runs(two, false)
		})
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain: " + what)
		}
	}
}

// TestAnotherProcess: descriptors are enough to go on, and the filters of the process before are known.
func TestAnotherProcess(t *testing.T) {
	w := newWire(t)
	c := newCounter(t)
	a := byFilters(t, Forward)
	check(t, a.Attach(c.program, w.index, link.Head()))
	given := map[string]int{}
	a.Descriptors(given, "link/", "hook/")
	next := New(Forward)
	t.Cleanup(func() { next.Close() })
	for name, fd := range given {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		check(t, err)
		if next.Check() == nil != (next.Hook == nil) {
			t.Errorf("before %s has come: %v", name, next.Check())
		}
		check(t, next.AdoptHook(strings.TrimPrefix(name, "hook/"), copied))
	}
	check(t, next.Check())
	check(t, a.Close())
	w.runs(c, true)
	check(t, next.Attach(c.program, w.index, link.Head()))
	w.wants("166/10001 anyport_fast")
	check(t, next.DetachOthers(nil))
	w.wants()
	if w.hasQdisc() {
		t.Error("the qdisc is left")
	}
}

// TestSideBySide: programs of several anyports run side by side, each in its place. What others have is left
// alone, and so is the qdisc that they have added or use.
func TestSideBySide(t *testing.T) {
	w := newWire(t)
	c, theirs := newCounter(t), newCounter(t)
	check(t, netlink.QdiscAdd(clsact(w.index)))
	add := func(preference uint16, name string) *netlink.BpfFilter {
		f := Kind{name, preference}.filter(w.index, 1)
		f.Fd = theirs.program.FD()
		check(t, netlink.FilterAdd(f))
		return f
	}
	add(1, "first")
	var all []*Attachments
	for _, kind := range []Kind{AskPeers, Forward, TakeAsked, Forward} {
		a := byFilters(t, kind)
		check(t, a.Attach(c.program, w.index, link.Head()))
		all = append(all, a)
	}
	w.wants("1/1 first", "166/1 anyport_fast", "166/2 anyport_fast", "167/1 anyport_take", "168/1 anyport_ask")
	w.runs(c, true)
	check(t, all[1].DetachOthers(nil))
	w.wants("1/1 first", "166/2 anyport_fast", "167/1 anyport_take", "168/1 anyport_ask")
	for _, i := range []int{0, 2, 3} {
		check(t, all[i].DetachOthers(nil))
	}
	w.wants("1/1 first")
	w.runs(theirs, true)

	foreign := add(Forward.preference, "foreign")
	if err := all[1].Attach(c.program, w.index, link.Head()); err == nil || !strings.Contains(err.Error(), "preference 166") {
		t.Errorf("in the place of another filter: %v", err)
	}
	w.wants("1/1 first", "166/1 foreign")
	check(t, netlink.FilterDel(foreign))
	check(t, netlink.FilterDel(add(2, "last")))
	check(t, all[1].Attach(c.program, w.index, link.Head()))
	check(t, netlink.FilterDel(Kind{"first", 1}.filter(w.index, 1)))
	check(t, all[1].DetachOthers(nil))
	if !w.hasQdisc() {
		t.Error("the qdisc of others is removed")
	}
}

// TestQdisc: the last filter in a qdisc that an anyport has added takes it along, in whatever order they go,
// unless others use it by then. If somebody removes it, Attach adds it again.
func TestQdisc(t *testing.T) {
	w := newWire(t)
	c := newCounter(t)
	one, two := byFilters(t, Forward), byFilters(t, AskPeers)
	check(t, one.Attach(c.program, w.index, link.Head()))
	check(t, netlink.QdiscDel(clsact(w.index)))
	w.runs(c, false)
	for _, a := range []*Attachments{one, two} {
		check(t, a.Attach(c.program, w.index, link.Head()))
	}
	w.wants("166/10001 anyport_fast", "168/10001 anyport_ask")
	w.runs(c, true)
	check(t, one.DetachOthers(nil))
	w.wants("168/10001 anyport_ask")
	check(t, two.DetachOthers(nil))
	if w.hasQdisc() {
		t.Error("the qdisc is left")
	}
	check(t, one.Attach(c.program, w.index, link.Head()))
	f := Kind{"theirs", 1}.filter(w.index, 1)
	f.Parent, f.Fd = netlink.HANDLE_MIN_EGRESS, c.program.FD()
	check(t, netlink.FilterAdd(f))
	check(t, one.DetachOthers(nil))
	if !w.hasQdisc() {
		t.Error("the qdisc is removed, with the filter of others")
	}
}

// TestIdle: a filter whose process has ended is known, and one whose process lives is not idle.
func TestIdle(t *testing.T) {
	w := newWire(t)
	c := newCounter(t)
	dead, lives := byFilters(t, Forward), byFilters(t, Forward)
	for _, a := range []*Attachments{dead, lives} {
		check(t, a.Attach(c.program, w.index, link.Head()))
	}
	check(t, dead.Close())
	found, err := Filters()
	check(t, err)
	slices.SortFunc(found, func(a, b Filter) int { return cmp.Compare(a.handle, b.handle) })
	if len(found) != 2 || found[0].String() != "filter anyport_fast at the ingress of c0 (tc)" {
		t.Fatalf("found %v", found)
	}
	idle := func(f Filter) bool {
		is, err := f.Idle()
		check(t, err)
		return is
	}
	eventually(t, "the filter of the dead process is idle", func() bool { return idle(found[0]) })
	if idle(found[1]) {
		t.Error("the filter of a living process is taken for idle")
	}
	check(t, found[0].Remove())
	check(t, found[0].Remove()) // it is gone
	w.wants("166/10002 anyport_fast")
	w.runs(c, true)
}
