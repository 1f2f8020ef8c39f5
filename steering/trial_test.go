package steering

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// beginTrial puts the table of cfg on trial.
func beginTrial(t testing.TB, s *Steering, cfg *config.Config, share Share) *table.Table {
	t.Helper()
	compiled, err := table.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.BeginTrial(withListen(cfg), compiled, share); err != nil {
		t.Fatal(err)
	}
	return compiled
}

func endTrial(t testing.TB, s *Steering, next bool) {
	t.Helper()
	if err := s.EndTrial(next); err != nil {
		t.Fatal(err)
	}
}

// shares are all clients, none, and what lies between.
var shares = []uint64{0, 1, 1 << 27, 1 << 31, 1<<32 - 1, 1 << 32}

// TestShareInKernel: the program and Share.Takes choose the same side for each client, whatever the seed, and one
// client is a whole IPv6 /64.
func TestShareInKernel(t *testing.T) {
	refuses := tabletest.Managed("192.0.2.0/24", "2001:db8:1::/48")
	s := open(t, refuses)
	refuses.Routes[0].Action = config.Refuse
	replace(t, s, refuses)
	beginTrial(t, s, tabletest.Managed("192.0.2.0/24", "2001:db8:1::/48"), Share{})
	j, dice := newJudge(t, s), rand.New(rand.NewPCG(1, 2))
	sides := map[bool]int{}
	for range 20_000 {
		share := Share{Seed: dice.Uint64(), Of32: shares[dice.IntN(len(shares))]}
		if err := s.objects.Trial.Put(uint32(0), bpf.SteerTrial{Seed: share.Seed, Share: share.Of32}); err != nil {
			t.Fatal(err)
		}
		client, dst := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, dice.Uint32()))), netip.MustParseAddrPort("192.0.2.1:80")
		if dice.IntN(2) == 0 {
			half := binary.BigEndian.AppendUint64(nil, dice.Uint64())
			client, dst = netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint64(half, dice.Uint64()))), netip.MustParseAddrPort("[2001:db8:1::1]:80")
			neighbour := netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint64(half, dice.Uint64())))
			if share.Takes(client) != share.Takes(neighbour) {
				t.Fatalf("%+v: %s and %s are one client, and have two sides", share, client, neighbour)
			}
		} else if share.Takes(netip.AddrFrom16(client.As16())) != share.Takes(client) {
			t.Fatalf("%+v: %s has another side when it is written as IPv6", share, client)
		}
		want := share.Takes(client)
		if got := j.verdict(t, config.TCP, dst, client) == table.Steer; got != want {
			t.Fatalf("%+v, client %s: the kernel says %v, Takes %v", share, client, got, want)
		}
		sides[want]++
	}
	if sides[true] < 5000 || sides[false] < 5000 {
		t.Errorf("the sides had %v lookups", sides)
	}
}

// TestShareIsFair: of many clients, a share has about as many as it says, whatever their addresses have in common.
func TestShareIsFair(t *testing.T) {
	const clients = 20_000
	for _, percent := range []float64{0, 0.1, 5, 50, 100} {
		share, err := NewShare(percent)
		if err != nil {
			t.Fatal(err)
		}
		in := map[string]float64{}
		for i := range uint32(clients) {
			if share.Takes(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})) {
				in["IPv4"]++
			}
			if share.Takes(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(i >> 16), byte(i >> 8), byte(i), 15: 1})) {
				in["IPv6"]++
			}
		}
		mean := clients * percent / 100
		deviation := mean * (1 - percent/100)
		for _, family := range []string{"IPv4", "IPv6"} {
			if off := in[family] - mean; off*off > 36*deviation { // six standard deviations
				t.Errorf("%v%% of %d %s clients are %v", percent, clients, family, in[family])
			}
		}
	}
}

// TestSetShare: a larger share has all clients of a smaller one, and the program follows at once. Another seed would
// give clients another side, and is refused.
func TestSetShare(t *testing.T) {
	refuses := tabletest.Managed("192.0.2.0/24")
	s := open(t, refuses)
	refuses.Routes[0].Action = config.Refuse
	replace(t, s, refuses)
	share, err := NewShare(5)
	if err != nil {
		t.Fatal(err)
	}
	if s.SetShare(share) == nil {
		t.Error("a share without a trial is accepted")
	}
	beginTrial(t, s, tabletest.Managed("192.0.2.0/24"), share)
	j, dst := newJudge(t, s), netip.MustParseAddrPort("192.0.2.1:80")
	least := map[netip.Addr]float64{} // the smallest share that has the client
	for _, percent := range []float64{60, 5, 99, 5.5, 20} {
		if err := s.SetShare(share.WithPercent(percent)); err != nil {
			t.Fatal(err)
		}
		for i := range 3000 {
			client := netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)})
			takes := j.verdict(t, config.TCP, dst, client) == table.Steer
			if takes != share.WithPercent(percent).Takes(client) {
				t.Fatalf("%v%%, client %s: the kernel says %v", percent, client, takes)
			}
			smallest, known := least[client]
			switch {
			case takes && (!known || percent < smallest):
				least[client] = percent
			case !takes && known && percent > smallest:
				t.Fatalf("client %s is in %v%% and not in %v%%", client, smallest, percent)
			}
		}
	}
	if err := s.SetShare(Share{Seed: share.Seed + 1, Of32: share.Of32}); err == nil {
		t.Error("another seed is accepted")
	}
	endTrial(t, s, false)
	checkNoDrift(t, s)
}

// TestTrialAgrees: during a trial of a random table beside another one, the kernel decides for each client by its
// side's table, as a naive look at the file does, except for datagrams that may be of flows of the other side. Both
// halves hold what they should, before and after.
func TestTrialAgrees(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 10
	}
	s := open(t, &config.Config{})
	j := newJudge(t, s)
	seen := map[table.Verdict]int{}
	for seed := range uint64(n) {
		d := tabletest.NewDice(seed)
		cfgs, share := [2]*config.Config{d.Config(), d.Config()}, Share{Seed: d.Uint64(), Of32: shares[d.IntN(len(shares))]}
		if d.IntN(2) == 0 {
			share.Of32 = 1 << 31
		}
		replace(t, s, cfgs[0])
		beginTrial(t, s, cfgs[1], share)
		j.learn(t, s)
		checkNoDrift(t, s)
		var counted [2]uint64
		for range 2000 {
			p := program.Packet{Protocol: d.Protocol(), Dst: d.Dst(), Client: netip.AddrPortFrom(d.Client().Unmap(), 40000)}
			if p.Dst.Addr().Is4() != p.Client.Addr().Is4() {
				p.Client = netip.AddrPortFrom(p.Dst.Addr(), 40000)
			}
			side := 0
			if share.Takes(p.Client.Addr()) {
				side = 1
			}
			decision, _ := tabletest.Naive(cfgs[side], p.Protocol, p.Dst, p.Client.Addr())
			want := fate(decision)
			if p.Protocol == config.UDP && (want == table.Refuse || want == table.Drop) {
				if other, _ := tabletest.Naive(cfgs[1-side], p.Protocol, p.Dst, netip.Addr{}); other.Verdict == table.Steer {
					want = table.Steer
				}
			}
			if got := j.judge(t, p); got != want {
				t.Fatalf("tables %d, side %d, %v %v from %v: kernel %s, want %s", seed, side, p.Protocol, p.Dst, p.Client, got, want)
			}
			seen[want]++
			if decision.Prefix.IsValid() || decision.Verdict != table.Pass {
				counted[side]++
			}
		}
		checkTrialCounts(t, s, cfgs, counted)
		all := d.IntN(2) == 0
		endTrial(t, s, all)
		checkNoDrift(t, s)
		checkEmptyHalf(t, s)
		serving := cfgs[0]
		if all {
			serving = cfgs[1]
		}
		for range 500 {
			p := program.Packet{Protocol: d.Protocol(), Dst: d.Dst()}
			p.Client = netip.AddrPortFrom(p.Dst.Addr(), 40000)
			decision, _ := tabletest.Naive(serving, p.Protocol, p.Dst, p.Client.Addr())
			if got := j.judge(t, p); got != fate(decision) {
				t.Fatalf("tables %d, after the trial (all: %v), %v %v: kernel %s, want %s", seed, all, p.Protocol, p.Dst, got, fate(decision))
			}
		}
	}
	t.Logf("%v", seen)
}

// checkTrialCounts wants each side to have counted at least the lookups that a prefix of its file holds, and no more
// than that for sides without unmatched ports that pass.
func checkTrialCounts(t *testing.T, s *Steering, cfgs [2]*config.Config, least [2]uint64) {
	t.Helper()
	status, err := s.Status()
	if err != nil || status.Trial == nil {
		t.Fatalf("status: %+v, %v", status.Trial, err)
	}
	for side, counts := range []map[table.Verdict]uint64{status.Trial.Old, status.Trial.Next} {
		var n uint64
		for _, c := range counts {
			n += c
		}
		exact := cfgs[side].Steering.Unmatched != config.Pass
		if n < least[side] || exact && n != least[side] {
			t.Fatalf("side %d has counted %d lookups, want %d: %v", side, n, least[side], counts)
		}
	}
}

func checkNoDrift(t *testing.T, s *Steering) {
	t.Helper()
	if lines, err := s.Drift(); err != nil || len(lines) > 0 {
		t.Fatalf("drift: %q, %v", lines, err)
	}
}

// Shares that leave one side without clients.
const everyone, nobody = 1 << 32, 0

// TestTrialPrefixes: the prefixes of both tables are local during a trial. At those of the other table a client is
// refused, never passed to the host's listeners, and when the trial ends they are retired.
func TestTrialPrefixes(t *testing.T) {
	loopback := []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128"}
	for _, test := range []struct {
		name    string
		of32    uint64
		next    bool
		during  map[string]table.Verdict
		retired string
	}{
		{"old side, all", nobody, true, map[string]table.Verdict{"192.0.2.1:80": table.Steer, "198.51.100.1:80": table.Steer, "203.0.113.1:80": table.Refuse}, "192.0.2.0/24"},
		{"new side, all", everyone, true, map[string]table.Verdict{"192.0.2.1:80": table.Refuse, "198.51.100.1:80": table.Steer, "203.0.113.1:80": table.Steer}, "192.0.2.0/24"},
		{"old side, back", nobody, false, map[string]table.Verdict{"192.0.2.1:80": table.Steer, "198.51.100.1:80": table.Steer, "203.0.113.1:80": table.Refuse}, "203.0.113.0/24"},
		{"new side, back", everyone, false, map[string]table.Verdict{"192.0.2.1:80": table.Refuse, "198.51.100.1:80": table.Steer, "203.0.113.1:80": table.Steer}, "203.0.113.0/24"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, draining(time.Hour, "192.0.2.0/24", "198.51.100.0/24"))
			hostListeners(t, 80)
			beginTrial(t, s, draining(time.Hour, "198.51.100.0/24", "203.0.113.0/24"), Share{Of32: test.of32})
			all := append(loopback, "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
			checkLocal(t, all)
			checkVerdicts(t, newJudge(t, s), test.during)
			checkNoDrift(t, s)
			if s.HasRetired() || s.DropRetired() != nil || s.dropExpired(time.Now().Add(24*time.Hour)) != nil {
				t.Error("prefixes are retired during the trial")
			}
			checkLocal(t, all)
			if err := s.Replace(s.config, s.requested); err == nil {
				t.Error("a reload came into service during the trial")
			}

			endTrial(t, s, test.next)
			checkLocal(t, all)
			after := map[string]table.Verdict{"192.0.2.1:80": table.Steer, "198.51.100.1:80": table.Steer, "203.0.113.1:80": table.Steer}
			after[strings.Replace(test.retired, "0/24", "1:80", 1)] = table.Refuse
			checkVerdicts(t, newJudge(t, s), after)
			prefix := netip.MustParsePrefix(test.retired)
			if until := s.retired[prefix]; len(s.retired) != 1 || until.Before(time.Now().Add(time.Minute)) || until.After(time.Now().Add(time.Hour)) {
				t.Errorf("retired: %v", s.retired)
			}
			if err := s.DropRetired(); err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, p := range all {
				if p != test.retired {
					left = append(left, p)
				}
			}
			checkLocal(t, left)
			checkEmptyHalf(t, s)
			checkNoDrift(t, s)
		})
	}
}

// TestTrialRefused: a table that cannot come into service leaves nothing behind.
func TestTrialRefused(t *testing.T) {
	s := open(t, draining(time.Hour, "192.0.2.0/24"))
	big := draining(time.Hour, "203.0.113.0/24")
	for i := range s.half(0).Bindings {
		name := fmt.Sprintf("r%d", i)
		big.Routes = append(big.Routes, tabletest.Route(name, "80", netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}).String()))
	}
	compiled, err := table.Compile(big)
	if err != nil {
		t.Fatal(err)
	}
	err = s.BeginTrial(withListen(big), compiled, Share{Of32: everyone})
	checkError(t, "a table that is too large", err, "restart it")
	checkLocal(t, []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128", "192.0.2.0/24"})
	checkVerdicts(t, newJudge(t, s), map[string]table.Verdict{"192.0.2.1:80": table.Steer, "203.0.113.1:80": table.Pass})
	checkNoDrift(t, s)
	checkEmptyHalf(t, s)
	replace(t, s, draining(time.Hour, "192.0.2.0/24", "203.0.113.0/24"))
}

// TestTrialOfADeadProcess: a process that goes on with the steering of one that died during a trial has the table
// before serve all clients, until its own does.
func TestTrialOfADeadProcess(t *testing.T) {
	s := open(t, draining(time.Hour, "192.0.2.0/24"))
	beginTrial(t, s, draining(time.Hour, "203.0.113.0/24"), Share{Of32: everyone})
	next := &Steering{log: discard, loaded: s.loaded, objects: s.objects}
	if err := next.readGeneration(); err != nil {
		t.Fatal(err)
	}
	serving, err := next.readServing()
	if err != nil || serving.Half != s.generation%2 || next.generation != s.generation {
		t.Errorf("serving: %+v, generation %d, %v; want %d", serving, next.generation, err, s.generation)
	}
	// Both prefixes are in the half that serves: neither leads to the host's listeners.
	checkVerdicts(t, newJudge(t, s), map[string]table.Verdict{"192.0.2.1:80": table.Steer, "203.0.113.1:80": table.Refuse})
}
