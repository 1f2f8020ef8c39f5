package udp

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
	"anyport/proxy/route"
)

// model is the table as one would write it without a thought for speed. Its flows are
// those of two routes, one a dst, with bounds of their own.
type model struct {
	most, mostToDst1, mostPerClientToDst2 int
	idle                                  time.Duration
	flows                                 []modelFlow // oldest first
}

type modelFlow struct {
	key      key
	last     time.Duration
	answered bool
}

func (m *model) find(k key) int {
	return slices.IndexFunc(m.flows, func(f modelFlow) bool { return f.key == k })
}

// datagram returns the verdict, and who ended for it.
func (m *model) datagram(k key, now time.Duration) (v route.Verdict, ended []key) {
	if i := m.find(k); i >= 0 {
		m.flows[i].last = now
		return route.Forwarded, nil
	}
	for _, bound := range m.bounds(k) {
		in := func(f modelFlow) bool { return bound.holds(f.key) }
		if n := len(slices.DeleteFunc(slices.Clone(m.flows), func(f modelFlow) bool { return !in(f) })); n < bound.most {
			continue
		}
		oldest := slices.IndexFunc(m.flows, func(f modelFlow) bool { return in(f) && !f.answered })
		if oldest < 0 {
			return bound.verdict, ended
		}
		ended = append(ended, m.flows[oldest].key)
		m.flows = slices.Delete(m.flows, oldest, oldest+1)
	}
	m.flows = append(m.flows, modelFlow{key: k, last: now})
	return route.Forwarded, ended
}

type modelBound struct {
	most    int
	holds   func(key) bool
	verdict route.Verdict
}

// bounds are those that a new flow meets, in order.
func (m *model) bounds(k key) []modelBound {
	all := modelBound{m.most, func(key) bool { return true }, route.OverMaxFlows}
	if k.dst == endpointOf(dst1) {
		return []modelBound{{m.mostToDst1, func(o key) bool { return o.dst == k.dst }, route.OverMaxFlows}, all}
	}
	sameClient := func(o key) bool { return o.dst == k.dst && o.client.addr == k.client.addr }
	return []modelBound{{m.mostPerClientToDst2, sameClient, route.OverMaxPerClient}, all}
}

func (m *model) answer(k key, now time.Duration) {
	i := m.find(k)
	m.flows[i].last, m.flows[i].answered = now, true
}

func (m *model) expire(now time.Duration) (ended []key) {
	m.flows = slices.DeleteFunc(m.flows, func(f modelFlow) bool {
		if f.last+m.idle > now {
			return false
		}
		ended = append(ended, f.key)
		return true
	})
	return ended
}

// TestTableAgainstModel plays datagrams, replies and the passing of time to the
// table and to the model.
func TestTableAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	for range 20 {
		playAgainstModel(t, random)
	}
}

func playAgainstModel(t *testing.T, random *rand.Rand) {
	m := &model{most: 1 + random.IntN(8), mostToDst1: 1 + random.IntN(8), mostPerClientToDst2: 1 + random.IntN(4), idle: 50}
	f := newFakeTable(m.most, bounded(m))
	clients := []netip.Addr{client1.Addr(), client2.Addr()}
	for now := time.Duration(1); now < 2000; now += time.Duration(random.IntN(4)) {
		client := netip.AddrPortFrom(clients[random.IntN(2)], uint16(1+random.IntN(5)))
		k := keyOf(client, []netip.AddrPort{dst1, dst2}[random.IntN(2)])
		want, verdict := []string(nil), route.Undecided
		switch random.IntN(3) {
		case 0:
			var evicted []key
			verdict, evicted = m.datagram(k, now)
			want = ends(evicted, route.Evicted)
			if verdict != route.Forwarded {
				want = slices.Sorted(slices.Values(append(want, ends([]key{k}, verdict)...)))
			}
			if _, got := f.datagram(k, 1, now); got != verdict {
				t.Fatalf("at %d, %v: %v, want %v", now, k, got, verdict)
			}
		case 1:
			if m.find(k) >= 0 {
				m.answer(k, now)
				f.answer(f.flows[k], []byte{0}, now)
			}
		case 2:
			want = ends(m.expire(now), route.IdleTimedOut)
			f.expire(now)
		}
		checkSame(t, f, m, want)
	}
	f.endAll(route.IdleTimedOut, 2000)
	checkNothingLeft(t, f)
}

// bounded puts a route for each dst into service, with the bounds of m.
func bounded(m *model) *route.Live {
	one, two := to(originAddr), to(originAddr)
	one.UDPIdle, one.MaxFlows = m.idle, m.mostToDst1
	two.Name, two.UDPIdle, two.MaxConnsPerClient = "two", m.idle, m.mostPerClientToDst2
	l := route.NewLive(1)
	l.Swap(routes{dst1: one, dst2: two}, []*config.Route{one, two})
	return l
}

// ends spells the records of some flows, sorted.
func ends(keys []key, v route.Verdict) (lines []string) {
	for _, k := range keys {
		lines = append(lines, fmt.Sprint(k.client.addrPort(), k.dst.addrPort(), v))
	}
	slices.Sort(lines)
	return lines
}

func checkSame(t *testing.T, f *fakeTable, m *model, records []string) {
	t.Helper()
	var got []string
	for _, r := range f.records {
		got = append(got, fmt.Sprint(r.Client, r.Dst, r.Verdict))
	}
	slices.Sort(got)
	f.records = nil
	if diff := cmp.Diff(records, got); diff != "" {
		t.Fatalf("records (-want +got):\n%s", diff)
	}
	live := map[key]bool{}
	for _, mf := range m.flows {
		live[mf.key] = true
	}
	for k := range maps.Keys(f.flows) {
		if !live[k] {
			t.Fatalf("%v lives on", k)
		}
	}
	if len(live) != len(f.flows) || f.kernel.open != len(live) || len(f.byDue) != len(live) {
		t.Fatalf("%d flows, %d sockets, %d to expire; want %d", len(f.flows), f.kernel.open, len(f.byDue), len(live))
	}
	checkUnanswered(t, f, m)
}

func checkUnanswered(t *testing.T, f *fakeTable, m *model) {
	t.Helper()
	at := f.unanswered.oldest(crowd{})
	for _, mf := range m.flows {
		if mf.answered {
			continue
		}
		if at == nil || at.key != mf.key {
			t.Fatal("the unanswered flows are not those of the model in their order")
		}
		at = at.after()
	}
	if at != nil {
		t.Fatal("an answered flow stands among the unanswered")
	}
}
