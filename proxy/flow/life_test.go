package flow_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// chat keeps a flow busy: a datagram a second, from now up to until.
func chat(f *testLoop, k flow.Key, now, until time.Duration) {
	for ; now <= until; now += time.Second {
		f.expire(now)
		if fl := f.Find(k); fl != nil {
			f.FromClient(fl, 1, now)
		}
	}
}

func TestDrain(t *testing.T) {
	for _, test := range []struct {
		name        string
		idle, drain time.Duration
		chat        time.Duration // how long the flow speaks after the drain began
		end         time.Duration // after the drain began
		verdict     route.Verdict
	}{
		{"quiet", time.Minute, 30 * time.Second, 0, 2 * time.Second, route.IdleTimedOut},
		{"quiet after a while", time.Minute, 30 * time.Second, 5 * time.Second, 7 * time.Second, route.IdleTimedOut},
		{"never quiet", time.Minute, 30 * time.Second, time.Minute, 30 * time.Second, route.DrainTimedOut},
		{"idle sooner than quiet", time.Second, 30 * time.Second, 0, time.Second, route.IdleTimedOut},
		{"no time at all", time.Minute, 0, 0, 0, route.DrainTimedOut},
	} {
		t.Run(test.name, func(t *testing.T) {
			const start = time.Hour
			r := to(originAddr)
			r.Timeouts = config.Timeouts{UDPIdle: test.idle, Drain: test.drain}
			f, k := newTestLoop(10, live(r, dst1)), flow.KeyOf(client1, dst1)
			f.datagram(k, 1, start)
			f.Drain(start)
			chat(f, k, start, start+test.chat)
			f.expire(start + test.end - 1)
			if test.end > test.chat && f.Len() != 1 {
				t.Fatalf("the flow ended too soon: %v", f.records)
			}
			f.expire(start + test.end)
			if len(f.records) != 1 || f.records[0].Verdict != test.verdict || f.records[0].Took != test.end {
				t.Errorf("ended as %+v, want %v after %v", f.records, test.verdict, test.end)
			}
		})
	}
}

func TestReloadDrainsRemovedRoutes(t *testing.T) {
	stays, goes := to(originAddr), to(originAddr)
	stays.Name, goes.Name = "stays", "goes"
	goes.Drain = 30 * time.Second
	l := route.NewLive(1)
	l.Swap(routes{dst1: stays, dst2: goes}, []*config.Route{stays, goes})
	f := newTestLoop(10, l)
	kept, removed := flow.KeyOf(client1, dst1), flow.KeyOf(client1, dst2)
	f.datagram(kept, 1, time.Hour)
	f.datagram(removed, 1, time.Hour)

	again := *stays
	l.Swap(routes{dst1: &again}, []*config.Route{&again})
	f.reload(time.Hour)
	chat(f, removed, time.Hour, time.Hour+29*time.Second)
	if f.Len() != 2 {
		t.Fatalf("ended before the drain timeout: %v", f.records)
	}
	f.expire(time.Hour + 30*time.Second)
	if f.Find(removed) != nil || f.Find(kept) == nil {
		t.Errorf("after the drain timeout %d flows live, want that of the route that stays", f.Len())
	}
	if got := f.verdicts(); !slices.Equal(got, []route.Verdict{route.DrainTimedOut}) {
		t.Errorf("records %v", got)
	}
}

// TestReloadInPages: a call looks at a page of the flows, and a reload that comes meanwhile begins again.
func TestReloadInPages(t *testing.T) {
	const n = 2*route.PageSize + 1
	r := to(originAddr)
	r.Drain = time.Minute
	l := route.NewLive(1)
	l.Swap(routes{dst1: r}, []*config.Route{r})
	f := newTestLoop(n, l)
	for i := range n {
		client := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		f.datagram(flow.KeyOf(netip.AddrPortFrom(client, 4711), dst1), 1, time.Hour)
	}
	if f.Len() != n {
		t.Fatalf("%d flows of %d began", f.Len(), n)
	}
	calls := func() (calls int) {
		for again := true; again; again = f.Reloading() {
			f.Reload(time.Hour)
			calls++
		}
		return calls
	}
	if got := calls(); got != 1 {
		t.Errorf("%d calls without a reload", got)
	}
	l.Swap(routes{}, nil)
	f.Reload(time.Hour)
	l.Swap(routes{dst1: r}, []*config.Route{r})
	if got := calls(); got != 3 {
		t.Errorf("%d calls, want 3", got)
	}
	f.expire(time.Hour + 2*time.Minute)
	if f.Len() != n {
		t.Errorf("%d flows of %d live after they were given back", f.Len(), n)
	}
	l.Swap(routes{}, nil)
	if got := calls(); got != 3 {
		t.Errorf("%d calls, want 3", got)
	}
	f.expire(time.Hour + 2*time.Minute)
	if f.Len() != 0 {
		t.Errorf("%d flows live after their drain timeout", f.Len())
	}
}

// TestReloadDrainsWhatIsNotForwarded: the route stays, but without the flow's dst; and a
// reload gives it back.
func TestReloadDrainsWhatIsNotForwarded(t *testing.T) {
	r := to(originAddr)
	r.Drain = 30 * time.Second
	l := live(r, dst1)
	f := newTestLoop(10, l)
	f.datagram(flow.KeyOf(client1, dst1), 1, time.Hour)
	for _, test := range []struct {
		table routes
		end   time.Duration
	}{
		{routes{}, time.Hour + flow.DrainQuiet},
		{routes{dst1: r}, 2 * time.Hour},
		{routes{dst2: r}, time.Hour + flow.DrainQuiet},
	} {
		l.Swap(test.table, []*config.Route{r})
		f.reload(time.Hour)
		if end, _ := f.NextDeadline(); end != test.end {
			t.Errorf("with %v it ends at %v, want %v", test.table, end, test.end)
		}
	}
}

// passing is a table that hands these to the host, too.
type passing struct {
	routes
	host netip.AddrPort
}

func (p passing) Passes(_ config.Protocol, dst netip.AddrPort) bool { return dst == p.host }

// TestReloadEndsWhatPasses: the datagrams for a dst that becomes the host's own are not to be
// caught by the reply socket, not even for a moment; those of a dst that is refused are not.
func TestReloadEndsWhatPasses(t *testing.T) {
	r := to(originAddr)
	r.Drain = 30 * time.Second
	l := live(r, dst1, dst2)
	f := newTestLoop(10, l)
	f.datagram(flow.KeyOf(client1, dst1), 1, time.Hour)
	f.datagram(flow.KeyOf(client1, dst2), 1, time.Hour)
	l.Swap(passing{routes{}, dst1}, []*config.Route{r})
	f.reload(time.Hour)
	if f.Find(flow.KeyOf(client1, dst1)) != nil || f.Find(flow.KeyOf(client1, dst2)) == nil {
		t.Errorf("%d flows live, want that of the dst that does not pass", f.Len())
	}
	if got := f.verdicts(); !slices.Equal(got, []route.Verdict{route.NoRoute}) {
		t.Errorf("records %v", got)
	}
	f.endAll(route.IdleTimedOut, 2*time.Hour)
	f.records = nil
	checkNothingLeft(t, f)
}
