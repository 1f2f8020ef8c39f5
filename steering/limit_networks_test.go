package steering

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/bpfmaps"
	"anyport/steering/clock"
	"anyport/steering/program"
	"anyport/steering/table"
)

// of is a first packet to the limited route from a client of one network: the n-th IPv4
// /24 or IPv6 /56 of many, each test's clients apart from those of from.
func of(protocol config.Protocol, n int, six bool, port uint16) program.Packet {
	if six {
		client := [16]byte{0x20, 0x01, 0x0d, 0xb8, byte(n >> 16), byte(n >> 8), byte(n), byte(port), 15: 1}
		return program.Packet{Protocol: protocol, Dst: netip.MustParseAddrPort("[2001:db8:1::1]:80"), Client: netip.AddrPortFrom(netip.AddrFrom16(client), port)}
	}
	client := [4]byte{10, byte(n >> 8), byte(n), byte(port)}
	return program.Packet{Protocol: protocol, Dst: netip.MustParseAddrPort("192.0.2.1:80"), Client: netip.AddrPortFrom(netip.AddrFrom4(client), port)}
}

// TestFloodOfNetworks floods a limited route from some networks, with ports and hosts of
// all kinds: clients of twenty other networks are admitted, all of them.
func TestFloodOfNetworks(t *testing.T) {
	const perSecond, others = 200, 20
	for name, test := range map[string]struct {
		cfg      *config.Config
		protocol config.Protocol
	}{
		"conns":     {limited(perSecond, 0), config.TCP},
		"flows":     {limited(perSecond, 0), config.UDP},
		"datagrams": {limited(0, perSecond), config.UDP},
	} {
		for _, six := range []bool{false, true} {
			for _, floods := range []int{1, 8, 32} {
				t.Run(fmt.Sprint(name, ", IPv6 ", six, ", networks ", floods), func(t *testing.T) {
					var j *judge
					for halving := time.Duration(-1); now(t)>>32 != halving; { // else the networks seem to have taken little
						halving = now(t) >> 32
						j = newJudge(t, open(t, test.cfg)) // with all that a flood can take
						for i := range 20 * perSecond {
							j.judge(t, of(test.protocol, i%floods, six, uint16(1024+i)))
						}
					}
					for n := range others {
						checkJudged(t, j, "beside a flood", of(test.protocol, 1000+n, six, 1024), table.Steer)
					}
				})
			}
		}
	}
}

// TestFloodOfRandomNetworks: where each packet of a flood names another network, clients
// of networks that were there before are admitted.
func TestFloodOfRandomNetworks(t *testing.T) {
	const perSecond, regulars = 200, 10
	s := open(t, limited(perSecond, 0))
	j := newJudge(t, s)
	regular := func(n int, port uint16) program.Packet { return of(config.TCP, 10_000+n, false, port) }
	for n := range regulars {
		checkJudged(t, j, "before the flood", regular(n, 1024), table.Steer)
	}
	age(t, s)
	refused := 0
	for n := range 20 * perSecond {
		if j.judge(t, of(config.TCP, n, false, 1024)) == table.Refuse {
			refused++
		}
	}
	if refused == 0 {
		t.Fatal("the flood was admitted")
	}
	for n := range 2 * regulars {
		checkJudged(t, j, "beside the flood", regular(n%regulars, uint16(2000+n)), table.Steer)
	}
}

// age makes what all networks have taken an hour old.
func age(t *testing.T, s *Steering) {
	t.Helper()
	for key, use := range uses(t, s) {
		use.Epoch -= uint64(time.Hour >> 32)
		if err := s.objects.Networks.Put(key, use); err != nil {
			t.Fatal(err)
		}
	}
}

// uses is what the networks have taken.
func uses(t *testing.T, s *Steering) map[bpf.SteerNetwork]bpf.SteerUse {
	t.Helper()
	all := map[bpf.SteerNetwork]bpf.SteerUse{}
	if err := bpfmaps.Each(s.objects.Networks, func(k bpf.SteerNetwork, u bpf.SteerUse) { all[k] = u }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestReserve sets what a route and a network have taken at random, and compares what the
// program then decides, and writes, with a model of it.
func TestReserve(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	seen := map[table.Verdict]int{}
	for _, perSecond := range []int{1, 2, 3, 7, 50, 1000, 1_000_000} {
		s := open(t, limited(perSecond, 0))
		j := newJudge(t, s)
		spacing := time.Second / time.Duration(perSecond)
		for i := range 500 {
			p := of(config.TCP, i, i%2 == 0, uint16(i))
			m := model{full: time.Duration(dice.Int64N(int64(3 * time.Second))), used: time.Duration(dice.ExpFloat64() * float64(time.Second) / 8)}
			m.set(t, s, p)
			seen[m.check(t, s, j, p, spacing)]++
			if t.Failed() {
				return
			}
		}
	}
	if t.Logf("%v", seen); seen[table.Steer] < 500 || seen[table.Refuse] < 500 {
		t.Errorf("%v: too few of one kind", seen)
	}
}

// model is a route's bucket and a network's account.
type model struct {
	full, used  time.Duration // full: from base on
	base, epoch time.Duration
}

func (m *model) set(t *testing.T, s *Steering, p program.Packet) {
	t.Helper()
	m.base = now(t)
	m.epoch = m.base >> 32
	if err := s.objects.Buckets.Put(s.numbers["all"], bpf.SteerBucket{Full: uint64(m.base + m.full)}); err != nil {
		t.Fatal(err)
	}
	if err := s.objects.Networks.Put(networkKey(s, p), bpf.SteerUse{Ns: uint64(m.used), Epoch: uint64(m.epoch)}); err != nil {
		t.Fatal(err)
	}
}

// networkKey is the account of p's client, for conns.
func networkKey(s *Steering, p program.Packet) bpf.SteerNetwork {
	key, client := bpf.SteerNetwork{Number: s.numbers["all"]}, p.Client.Addr().As16()
	if p.Client.Addr().Is4() {
		client = [16]byte{2: 0xff, 3: 0xff, 4: client[12], 5: client[13], 6: client[14]}
	}
	client[7] = 0
	for i := range key.Addr {
		key.Addr[i] = binary.NativeEndian.Uint32(client[4*i:])
	}
	return key
}

// check compares the program's verdict on p with the model's, which has to hold at the
// moments before and after: between them the program may go either way.
func (m *model) check(t *testing.T, s *Steering, j *judge, p program.Packet, spacing time.Duration) table.Verdict {
	t.Helper()
	early := m.admits(now(t), spacing)
	got := j.judge(t, p)
	late := m.admits(now(t), spacing)
	if early == late && (got == table.Steer) != early {
		t.Errorf("spacing %v, %+v: %s, and the model admits: %v", spacing, m, got, early)
	}
	var use bpf.SteerUse
	if err := s.objects.Networks.Lookup(networkKey(s, p), &use); err != nil {
		t.Fatal(err)
	}
	want := m.used
	if got == table.Steer {
		want = m.used>>(time.Duration(use.Epoch)-m.epoch) + spacing
	}
	if use.Ns != uint64(want) {
		t.Errorf("spacing %v, %+v: %s, and the network has taken %v, want %v", spacing, m, got, time.Duration(use.Ns), want)
	}
	return got
}

// admits is the rule in the words of limit.h, in seconds.
func (m *model) admits(now, spacing time.Duration) bool {
	used := (m.used >> (now>>32 - m.epoch)).Seconds()
	depth := 0.0
	if used < 1 {
		depth = (1-used)*0.125/(0.125+used) + spacing.Seconds()
	}
	return max(m.base+m.full-now, 0).Seconds()+spacing.Seconds() <= 1+depth
}

func now(t *testing.T) time.Duration {
	t.Helper()
	return clock.Monotonic()
}

// TestOneNetworkAlone gets the whole rate, and what one of its hosts has taken the others
// have, too.
func TestOneNetworkAlone(t *testing.T) {
	for _, perSecond := range []int{1, 2, 3, 40} {
		s := open(t, limited(perSecond, 0))
		j := newJudge(t, s)
		begun, steered := time.Now(), 0
		for i := range 3 * perSecond {
			if j.judge(t, of(config.TCP, 7, false, uint16(1024+i))) == table.Steer {
				steered++
			}
		}
		most := perSecond + int(float64(perSecond)*time.Since(begun).Seconds())
		if steered < perSecond || steered > most {
			t.Errorf("%d a second: %d at once, want from %d to %d", perSecond, steered, perSecond, most)
		}
	}
}
