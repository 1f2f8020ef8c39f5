package steering

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"

	"anyport/bpf"
	"anyport/config"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// TestReplaceIsAtomic: while two tables take turns, no lookup finds anything that is
// in neither. A lookup that met half a table would pass (no prefix) or drop (unmatched).
func TestReplaceIsAtomic(t *testing.T) {
	turns := 40
	if testing.Short() {
		turns = 10
	}
	one, other := managed("192.0.2.0/24", "2001:db8:1::/48"), managed("192.0.2.0/24", "2001:db8:1::/48")
	for i, cfg := range []*config.Config{one, other} {
		cfg.Steering = config.Steering{Unmatched: config.Drop}
		cfg.Routes[0].Action = []config.Action{config.Forward, config.Refuse}[i]
		cfg.Routes[0].Deny = prefixes("198.51.100.0/24") // a list to be erased as well
	}
	s := open(t, one)
	j := newJudge(t, s)
	var seen [2]atomic.Uint64
	var done atomic.Bool
	var group errgroup.Group
	for range 2 {
		group.Go(func() error {
			for i := byte(0); !done.Load(); i++ {
				dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, i}), 80)
				switch got := j.verdict(t, config.TCP, dst, dst.Addr()); got {
				case Steer:
					seen[0].Add(1)
				case Refuse:
					seen[1].Add(1)
				default:
					t.Errorf("%s: %s is in neither table", dst, got)
					return nil
				}
			}
			return nil
		})
	}
	for i := range turns {
		replace(t, s, []*config.Config{other, one}[i%2])
	}
	done.Store(true)
	group.Wait()
	if seen[0].Load() == 0 || seen[1].Load() == 0 {
		t.Errorf("lookups: %d in one table, %d in the other", seen[0].Load(), seen[1].Load())
	}
	checkEmptyHalf(t, s)
}

// checkEmptyHalf: what does not serve is gone from the tries.
func checkEmptyHalf(t *testing.T, s *Steering) {
	t.Helper()
	idle := s.half(s.generation + 1)
	for key := range idle.v4Entries(s.table) {
		var policy bpf.SteerPolicy
		if err := s.objects.PrefixesV4.Lookup(key, &policy); !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Errorf("%+v is still there (%v)", key, err)
		}
	}
}

// TestReplaceErasesLeftovers: what an earlier Replace could not take away again is
// gone before the half is filled.
func TestReplaceErasesLeftovers(t *testing.T) {
	s := open(t, managed("192.0.2.0/24"))
	j := newJudge(t, s)
	stale := compile(t, route("stale", "1-65535", "198.51.100.0/24"))
	if err := s.half(s.generation+1).fill(stale, nil); err != nil {
		t.Fatal(err)
	}
	s.leftover = stale
	replace(t, s, managed("203.0.113.0/24"))
	checkVerdicts(t, j, map[string]Verdict{"192.0.2.1:80": Pass, "198.51.100.1:80": Pass, "203.0.113.1:80": Steer})
}

// TestCounters: a route keeps its counters as long as it is in service.
func TestCounters(t *testing.T) {
	kept, left, come := route("kept", "80", "192.0.2.1"), route("left", "80", "192.0.2.2"), route("come", "80", "192.0.2.3")
	s := open(t, &config.Config{Routes: []*config.Route{left, kept}})
	j := newJudge(t, s)
	checkVerdicts(t, j, map[string]Verdict{"192.0.2.1:80": Steer, "192.0.2.1:81": Refuse, "192.0.2.2:80": Steer})
	replace(t, s, &config.Config{Routes: []*config.Route{kept}})
	replace(t, s, &config.Config{Routes: []*config.Route{come, kept}}) // come gets the number that left had
	checkVerdicts(t, j, map[string]Verdict{"192.0.2.1:80": Steer})

	status, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	want := []Counters{
		{"", map[Verdict]uint64{Steer: 0, Refuse: 1, Drop: 0, Pass: 0, Deny: 0, Limit: 0}},
		{"come", map[Verdict]uint64{Steer: 0, Refuse: 0, Drop: 0, Pass: 0, Deny: 0, Limit: 0}},
		{"kept", map[Verdict]uint64{Steer: 2, Refuse: 0, Drop: 0, Pass: 0, Deny: 0, Limit: 0}},
	}
	if diff := cmp.Diff(want, status.Counters); diff != "" {
		t.Error(diff)
	}
	if !status.Attached || status.Generation != 3 || status.Prefixes != 2 || status.ProgramID == 0 {
		t.Errorf("%+v", status)
	}
}

// TestForeign: each of two in one namespace sees the other, and leaves its choice.
func TestForeign(t *testing.T) {
	inNamespace(t)
	first := openHere(t, managed("192.0.2.0/24"))
	second := openHere(t, managed("198.51.100.0/24"))
	one, err := first.Status()
	if err != nil {
		t.Fatal(err)
	}
	two, err := second.Status()
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(one.Foreign, []uint32{two.ProgramID}) || !cmp.Equal(two.Foreign, []uint32{one.ProgramID}) {
		t.Errorf("programs %d and %d see %v and %v", one.ProgramID, two.ProgramID, one.Foreign, two.Foreign)
	}
	if got := knockTCP(t, first, netip.MustParseAddrPort("192.0.2.1:80")); got != Steer {
		t.Errorf("the first one's packet: %s", got)
	}
}

func TestNumberRoutes(t *testing.T) {
	table := compile(t, route("a", "1", "192.0.2.1"), route("b", "2", "192.0.2.1"), route("c", "3", "192.0.2.1"))
	got := numberRoutes(map[string]uint32{"b": 1, "gone": 3}, table)
	if diff := cmp.Diff(map[string]uint32{"a": 2, "b": 1, "c": 4}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFits(t *testing.T) {
	limited := route("b", "2", "192.0.2.1")
	limited.NewConnsPerSecond = 5
	table := compile(t, route("a", "1", "192.0.2.1"), limited)
	for _, test := range []struct {
		half half
		want string
	}{
		{half{intervals: 5, bindings: 3, trie: 1, admissions: 50}, ""},
		{half{intervals: 4, bindings: 3}, "the routes make 5 port intervals and the running program has room for 4: restart it, after `anyport unload` where steering.pin is set"},
		{half{intervals: 5, bindings: 2}, "there are 2 routes and the running program has room for 1: restart it, after `anyport unload` where steering.pin is set"},
		{half{intervals: 5, bindings: 3, admissions: 50}, "there are 1 IPv4 prefixes and the kernel's tables have room for 0: join neighbours, or split the file between hosts"},
		{half{intervals: 5, bindings: 3, admissions: 49}, "the routes with new_conns_per_second have 50 conns and flows to remember and the running program has room for 49: set max_flows to less, or restart it, after `anyport unload` where steering.pin is set"},
	} {
		got := ""
		if err := test.half.fits(table); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
