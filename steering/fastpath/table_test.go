package fastpath

import (
	"net/netip"
	"testing"
	"time"

	"anyport/bpf/fastflow"
)

// TestTables: flows that the small table has no room for are forwarded like the others, taken over by the
// next process, and removed. Those of other processes stay.
func TestTables(t *testing.T) {
	r := newRig(t)
	p := r.open()
	var all []fastflow.Flow
	for i := range int(p.objects.Few.MaxEntries())/2 + 3 {
		f := ends[[]string{"IPv4", "IPv6"}[i%2]]
		f.Idle = time.Hour
		f.Client = netip.AddrPortFrom(f.Client.Addr(), uint16(10000+i))
		f.Source = netip.AddrPortFrom(f.Source.Addr(), uint16(10000+i))
		all = append(all, f)
	}
	forwards := func(f fastflow.Flow, arrives bool) {
		t.Helper()
		client, origin := r.socket(r.client, f.Client.String()), r.socket(r.origin, f.Origin.String())
		r.exchange(client, origin, f, arrives)
		client.Close()
		origin.Close()
	}
	first, last := all[0], all[len(all)-1]
	for _, f := range all {
		r.check(p.Admit(f))
	}
	forwards(first, true)
	forwards(last, true)

	// What is left in the large table of a flow before, under a key that the small one has, is deleted.
	next := r.duplicate(p)
	forth := keyOf(first.Client, first.Dst)
	var e entry
	r.check(p.objects.Few.Lookup(&forth, &e))
	e.Id += maxFlows
	r.check(p.objects.Flows.Put(&forth, &e))
	r.check(p.Release())
	left, err := next.Adopt()
	r.check(err)
	found := 0
	for range left {
		found++
	}
	if found != len(all) {
		t.Errorf("the next process has found %d flows of %d", found, len(all))
	}
	forwards(last, true)
	for _, f := range all {
		next.Leave(f)
		if _, ok := next.Remove(f); !ok {
			t.Fatalf("%v cannot be removed", f)
		}
	}
	r.empty(next)
	forwards(first, false)
	forwards(last, false)
}

// TestTwoInOneTable: an entry that another process has put over this one's stays.
func TestTwoInOneTable(t *testing.T) {
	r := newRig(t)
	p := r.open()
	next := r.duplicate(p)
	r.check(next.Serve(true))
	f := ends["IPv4"]
	f.Idle = time.Hour
	r.check(p.Admit(f))
	r.check(next.Admit(f))
	p.Leave(f)
	client, origin := r.socket(r.client, f.Client.String()), r.socket(r.origin, f.Origin.String())
	r.exchange(client, origin, f, true)
	p.Remove(f)
	r.exchange(client, origin, f, true)
	next.Remove(f)
	r.empty(next)
}

// TestFullSmallTable: it is used again once there is room in it.
func TestFullSmallTable(t *testing.T) {
	r := newRig(t)
	p := r.open()
	flows := make([]fastflow.Flow, p.objects.Few.MaxEntries()/2+1)
	for i := range flows {
		flows[i] = ends["IPv4"]
		flows[i].Idle = time.Hour
		flows[i].Client = netip.AddrPortFrom(flows[i].Client.Addr(), uint16(10000+i))
		flows[i].Source = netip.AddrPortFrom(flows[i].Source.Addr(), uint16(10000+i))
		r.check(p.Admit(flows[i]))
	}
	inFew := func(f fastflow.Flow) bool {
		k := keyOf(f.Client, f.Dst)
		var e entry
		return p.objects.Few.Lookup(&k, &e) == nil
	}
	first, last := flows[0], flows[len(flows)-1]
	if !inFew(first) || inFew(last) {
		t.Fatal("the small table does not have the first flows alone")
	}
	p.Remove(first)
	p.Remove(last)
	r.check(p.Admit(last))
	if !inFew(last) {
		t.Error("the small table has room, and is not used")
	}
}
