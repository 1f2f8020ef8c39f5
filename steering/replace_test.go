package steering

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/table"
)

// TestReplaceIsAtomic: while two tables take turns, no lookup finds anything that is
// in neither. A lookup that met half a table would pass (no prefix) or drop (unmatched).
func TestReplaceIsAtomic(t *testing.T) {
	turns := 40
	if testing.Short() {
		turns = 10
	}
	one, other := tabletest.Managed("192.0.2.0/24", "2001:db8:1::/48"), tabletest.Managed("192.0.2.0/24", "2001:db8:1::/48")
	for i, cfg := range []*config.Config{one, other} {
		cfg.Steering = config.Steering{Unmatched: config.Drop}
		cfg.Routes[0].Action = []config.Action{config.Forward, config.Refuse}[i]
		cfg.Routes[0].Deny = tabletest.Prefixes("198.51.100.0/24") // a list to be erased as well
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
				case table.Steer:
					seen[0].Add(1)
				case table.Refuse:
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

// checkEmptyHalf: what does not serve is not in the tries.
func checkEmptyHalf(t *testing.T, s *Steering) {
	t.Helper()
	idle := s.half(s.generation + 1)
	for key := range idle.V4Entries(s.table) {
		var policy bpf.SteerPolicy
		if err := s.objects.PrefixesV4.Lookup(key, &policy); !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Errorf("%+v is still there (%v)", key, err)
		}
	}
}

// TestReplaceErasesLeftovers: what an earlier Replace could not take away again is
// gone before the half is filled.
func TestReplaceErasesLeftovers(t *testing.T) {
	s := open(t, tabletest.Managed("192.0.2.0/24"))
	j := newJudge(t, s)
	stale := tabletest.Compile(t, tabletest.Route("stale", "1-65535", "198.51.100.0/24"))
	if err := s.half(s.generation+1).Fill(stale, nil); err != nil {
		t.Fatal(err)
	}
	s.idleTable = stale
	replace(t, s, tabletest.Managed("203.0.113.0/24"))
	checkVerdicts(t, j, map[string]table.Verdict{"192.0.2.1:80": table.Pass, "198.51.100.1:80": table.Pass, "203.0.113.1:80": table.Steer})
}

// TestCounters: a route keeps its counters as long as it is in service.
func TestCounters(t *testing.T) {
	kept, left, come := tabletest.Route("kept", "80", "192.0.2.1"), tabletest.Route("left", "80", "192.0.2.2"), tabletest.Route("come", "80", "192.0.2.3")
	s := open(t, &config.Config{Routes: []*config.Route{left, kept}})
	j := newJudge(t, s)
	checkVerdicts(t, j, map[string]table.Verdict{"192.0.2.1:80": table.Steer, "192.0.2.1:81": table.Refuse, "192.0.2.2:80": table.Steer})
	replace(t, s, &config.Config{Routes: []*config.Route{kept}})
	replace(t, s, &config.Config{Routes: []*config.Route{come, kept}}) // come gets the number that left had
	checkVerdicts(t, j, map[string]table.Verdict{"192.0.2.1:80": table.Steer})

	status, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	want := []Counters{
		{"", map[table.Verdict]uint64{table.Steer: 0, table.Refuse: 1, table.Drop: 0, table.Pass: 0, table.Deny: 0, table.Limit: 0, table.Inactive: 0, table.Socket: 0}},
		{"come", map[table.Verdict]uint64{table.Steer: 0, table.Refuse: 0, table.Drop: 0, table.Pass: 0, table.Deny: 0, table.Limit: 0, table.Inactive: 0, table.Socket: 0}},
		{"kept", map[table.Verdict]uint64{table.Steer: 2, table.Refuse: 0, table.Drop: 0, table.Pass: 0, table.Deny: 0, table.Limit: 0, table.Inactive: 0, table.Socket: 0}},
	}
	if diff := cmp.Diff(want, status.Counters); diff != "" {
		t.Error(diff)
	}
	sum, err := s.CountersSum()
	if err != nil || sum[table.Steer] != 2 || sum[table.Refuse] != 1 || len(sum) != len(want[0].Verdicts) {
		t.Errorf("the sum is %v, %v", sum, err)
	}
	if !status.Attached || status.Generation != 3 || status.Prefixes != 2 || status.ProgramID == 0 {
		t.Errorf("%+v", status)
	}
}

// TestForeign: each of two in one namespace sees the other, and leaves its choice.
func TestForeign(t *testing.T) {
	netnstest.InNamespace(t)
	first := openHere(t, tabletest.Managed("192.0.2.0/24"))
	second := openHere(t, tabletest.Managed("198.51.100.0/24"))
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
	if got := knockTCP(t, first, netip.MustParseAddrPort("192.0.2.1:80")); got != table.Steer {
		t.Errorf("the first one's packet: %s", got)
	}
}
