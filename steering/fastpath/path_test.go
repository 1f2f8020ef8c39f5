package fastpath

import (
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/bpf/fastflow"
)

// duplicate is what another process gets.
func (r *rig) duplicate(p *Path) *Path {
	r.t.Helper()
	all := p.Descriptors()
	for name, fd := range all {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		r.check(err)
		all[name] = copied
	}
	o, err := FromDescriptors(all)
	r.check(err)
	r.check(o.CheckBuild())
	next, err := Open(o, slog.New(slog.DiscardHandler))
	r.check(err)
	r.t.Cleanup(func() { r.check(next.Close()) })
	return next
}

// TestAdopt: what a process leaves behind that has ended without a word is forwarded, and the next
// process knows it all: the flows, what was counted, and what of it is useless.
func TestAdopt(t *testing.T) {
	r := newRig(t)
	old := r.open()
	var all []fastflow.Flow
	for i := range 3 {
		f := ends["IPv4"]
		f.Client = netip.AddrPortFrom(f.Client.Addr(), uint16(4000+i))
		f.Header, f.SharesSource, f.Idle = fastflow.SPP, true, time.Minute
		all = append(all, f)
		r.check(old.Admit(f))
	}
	single := ends["IPv6"]
	single.Idle, single.Until = time.Hour, time.Now().Add(time.Hour)
	r.check(old.Admit(single))
	single.Until = time.Time{} // it is not passed on
	all = append(all, single)
	half := ends["IPv6"]
	half.Client, half.Source = netip.AddrPortFrom(half.Client.Addr(), 9), netip.AddrPortFrom(half.Source.Addr(), 9)
	r.check(old.Admit(half))
	back := keyOf(half.Origin, half.Source)
	old.table.remove(back)

	next := r.duplicate(old)
	r.check(old.Release())
	client, origin := r.socket(r.client, single.Client.String()), r.socket(r.origin, single.Origin.String())
	r.exchange(client, origin, single, true)
	left, err := next.Adopt()
	r.check(err)
	found := map[fastflow.Flow]fastflow.Usage{}
	for f, u := range left {
		found[f] = u
	}
	for _, f := range all {
		u, ok := found[f]
		if want := uint64(1); !ok || f == single && (u.ToOrigin.Packets != want || u.ToClient.Packets != want) {
			t.Errorf("%v: %v, %+v", f, ok, u)
		}
	}
	if len(found) != len(all) {
		t.Errorf("found %d flows, want %d", len(found), len(all))
	}
	for _, f := range all {
		next.Leave(f)
		if _, ok := next.Remove(f); !ok {
			t.Errorf("%v cannot be removed", f)
		}
	}
	r.empty(next)
}

// empty checks that the kernel has nothing of any flow.
func (r *rig) empty(p *Path) {
	r.t.Helper()
	flows, err := p.table.adopt()
	r.check(err)
	used := 0
	var at usage
	for place := range uint32(16) { // the first ones are taken first
		r.check(p.objects.Usage.Lookup(place, &at))
		if at.State != unused {
			used++
		}
	}
	if len(flows)+used+len(p.flows)+len(p.shared) > 0 {
		r.t.Errorf("left: %d entries, %d places, %d flows, %d shared", len(flows), used, len(p.flows), len(p.shared))
	}
}

// brief is how long a test waits for what should not come: on a busy host it may pass wrongly, never
// fail wrongly.
const brief = 50 * time.Millisecond

// TestPassedUp: nobody gets the datagrams of a flow that is not in force, for the edge has no socket
// for them.
func TestPassedUp(t *testing.T) {
	r := newRig(t)
	p := r.open()
	f := ends["IPv4"]
	f.Idle = time.Hour
	client, origin := r.socket(r.client, f.Client.String()), r.socket(r.origin, f.Origin.String())
	for _, test := range []struct {
		name string
		do   func()
	}{
		{"an old generation", func() { r.check(p.Raise()) }},
		{"a flow that leaves", func() { p.Leave(f) }},
		{"the end of its time", func() {
			ended := f
			ended.Until = time.Now()
			r.check(p.Admit(ended))
		}},
		{"its idle time", func() {
			brief := f
			brief.Idle = time.Millisecond
			r.check(p.Admit(brief))
			time.Sleep(10 * time.Millisecond)
		}},
	} {
		r.check(p.Admit(f))
		r.exchange(client, origin, f, true)
		test.do()
		r.exchange(client, origin, f, false)
		if u, ok := p.Remove(f); !ok || u.ToOrigin.Packets > 1 || u.ToClient.Packets > 1 {
			t.Errorf("%s: counted %+v, %v", test.name, u, ok)
		}
	}
	r.empty(p)
}

// exchange sends a datagram each way, and checks whether they arrive.
func (r *rig) exchange(client, origin *net.UDPConn, f fastflow.Flow, arrives bool) {
	r.t.Helper()
	wait := patience
	if !arrives {
		wait = brief
	}
	for _, way := range []struct {
		name     string
		from, to *net.UDPConn
		dst      netip.AddrPort
	}{{"to the origin", client, origin, f.Dst}, {"to the client", origin, client, f.Source}} {
		if _, err := way.from.WriteToUDPAddrPort([]byte("datagram"), way.dst); err != nil {
			r.t.Fatal(err)
		}
		if got, _ := r.receive(way.to, wait); (got != nil) != arrives {
			r.t.Errorf("%s: got %q", way.name, got)
		}
	}
}

// TestOtherFlow: what is asked about a flow says and does nothing about another one of the same client and
// dst that came after it.
func TestOtherFlow(t *testing.T) {
	r := newRig(t)
	p := r.open()
	before, now := ends["IPv4"], ends["IPv4"]
	before.Idle, now.Idle = time.Hour, time.Hour
	now.Source = netip.AddrPortFrom(now.Source.Addr(), 5001)
	r.check(p.Admit(before))
	r.check(p.Admit(now))
	if _, ok := p.Usage(before); ok {
		t.Error("the flow before is still said to be there")
	}
	p.Leave(before)
	if _, ok := p.Remove(before); ok {
		t.Error("the flow before can be removed")
	}
	client, origin := r.socket(r.client, now.Client.String()), r.socket(r.origin, now.Origin.String())
	r.exchange(client, origin, now, true)
	p.Remove(now)
	r.empty(p)
}

// TestMemoryInProcess: what this package keeps of a flow.
func TestMemoryInProcess(t *testing.T) {
	const n = 4000
	r := newRig(t)
	p := r.open()
	f := ends["IPv4"]
	f.Idle = time.Hour
	admit := func(i int) {
		f.Client = netip.AddrPortFrom(f.Client.Addr(), uint16(10000+i))
		f.Source = netip.AddrPortFrom(f.Source.Addr(), uint16(10000+i))
		r.check(p.Admit(f))
	}
	admit(n) // asks for the routes, and maps memory
	before := inUse()
	for i := range n {
		admit(i)
	}
	each := int(inUse()-before) / n
	runtime.KeepAlive(p)
	t.Logf("%d bytes a flow", each)
	if each > 48 {
		t.Error("that is too much")
	}
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
