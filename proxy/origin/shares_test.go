package origin

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

var balances = []config.Balance{config.RoundRobin, config.LeastConn, config.Random, config.SourceHash, config.First}

// An origin of a case, as "WEIGHT[STATE][b]": u up, f its checks fail, e ejected, d drained by hand, x
// down by hand, s half of its slow_start is over; b a backup.
type simulated struct {
	weight int
	state  byte
	backup bool
}

func simulate(text string) (all []simulated) {
	for _, field := range strings.Fields(text) {
		s := simulated{state: 'u', backup: strings.HasSuffix(field, "b")}
		field = strings.TrimSuffix(field, "b")
		if last := field[len(field)-1]; last > '9' {
			s.state, field = last, field[:len(field)-1]
		}
		fmt.Sscan(field, &s.weight)
		all = append(all, s)
	}
	return all
}

// expectedShares is the oracle: it applies the rules of the documentation one after the other.
func expectedShares(balance config.Balance, all []simulated, threshold int, refuse bool) []float64 {
	shares := make([]float64, len(all))
	in := func(states string) (in []int) {
		for i, s := range all {
			if s.weight > 0 && strings.ContainsRune(states, rune(s.state)) {
				in = append(in, i)
			}
		}
		return in
	}
	up, serving := in("us"), in("usfe")
	candidates := up
	switch {
	case refuse && len(in("use")) == 0:
		return shares
	case len(up) == 0, 100*len(up) < threshold*len(serving):
		candidates = serving
		if without := in("usf"); len(without) > 0 { // the ejected ones last
			candidates = without
		}
	}
	if slices.ContainsFunc(candidates, func(i int) bool { return !all[i].backup }) {
		candidates = slices.DeleteFunc(slices.Clone(candidates), func(i int) bool { return all[i].backup })
	}
	if balance == config.First && len(candidates) > 0 {
		shares[candidates[0]] = 1
		return shares
	}
	weight := func(i int) float64 {
		if all[i].state == 's' {
			return float64(all[i].weight) / 2
		}
		return float64(all[i].weight)
	}
	total := 0.0
	for _, i := range candidates {
		total += weight(i)
	}
	for _, i := range candidates {
		shares[i] = weight(i) / total
	}
	return shares
}

// build makes the pool of a case.
func build(balance config.Balance, all []simulated, threshold int, refuse bool) *Pool {
	r := &config.Route{Balance: balance, PanicThreshold: threshold, SlowStart: time.Minute, OnAllDown: config.TryAll}
	if refuse {
		r.OnAllDown = config.RefuseAll
	}
	for i, s := range all {
		o := server(string(rune('a'+i)), s.weight)
		o.Backup = s.backup
		r.Origins = append(r.Origins, o)
	}
	p := NewPool(r, nil)
	for i, s := range all {
		switch o := p.Origins[i]; s.state {
		case 'f':
			o.SetChecked(true, "", noon)
		case 'e':
			o.Refuse(1, true, noon)
		case 'd':
			o.Force(health.Drain, "", noon)
		case 'x':
			o.Force(health.Down, "", noon)
		case 's':
			o.SetChecked(true, "", noon)
			o.SetChecked(false, "", noon.Add(-30*time.Second))
		}
	}
	return p
}

// TestSharesUnderFailures: every policy, with these weights and failures, has the shares of the
// oracle: exactly where the policy is exact, else within six standard deviations, which fails by
// chance once in 500 million runs.
func TestSharesUnderFailures(t *testing.T) {
	const n = 1500
	for _, origins := range []string{
		"1 1 1", "3 1", "1f 1 1", "5f 1 2", "1 2f 3f", "1e 1 1", "1e 1f 4", "1e 1e 1", "2e 3e",
		"1f 1f", "1f 3f 1b", "1f 1f 1fb", "1d 1 1", "1x 2 1", "1d 1f", "1x 1x", "0 1 2", "0 0", "1 0 1b", "1d 1b 2b",
		"1s 1", "2s 1 1f", "1s 2f", "1 1f 1f 1f", "1 1 1f 1f 2b", "1x 1f 1f 1", "4 2 1f 1e 0 1d 1x 3b",
	} {
		for _, balance := range balances {
			for _, threshold := range []int{0, 50, 100} {
				for _, refuse := range []bool{false, true} {
					all := simulate(origins)
					p := build(balance, all, threshold, refuse)
					counts := map[*Origin]int{}
					for i := range n {
						if o := p.Pick(Ask{Client: someClient(i), Protocol: config.UDP, Port: 53, Now: noon}); o != nil {
							counts[o]++
							o.Begin()
						}
					}
					for i, share := range expectedShares(balance, all, threshold, refuse) {
						off, most := math.Abs(float64(counts[p.Origins[i]])-n*share), 2.0
						if balance == config.SourceHash || balance == config.Random {
							most += 6 * math.Sqrt(n*share*(1-share))
						}
						if off > most {
							t.Errorf("%s, %q, panic_threshold %d, refuse %v: origin %d has %d of %d, want %.0f",
								balance, origins, threshold, refuse, i, counts[p.Origins[i]], n, n*share)
						}
					}
				}
			}
		}
	}
}

// someClient is a client of either family.
func someClient(i int) netip.Addr {
	if i%2 == 0 {
		return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i >> 8), byte(i), 15: 1})
}

// TestSourceHashOnEveryHost: two hosts with the same file pick the same origins, in whatever order
// their files name them, and an origin that goes moves its own clients only: at most 1/n of them, and
// 2 % for chance.
func TestSourceHashOnEveryHost(t *testing.T) {
	const clients = 20000
	for n := 2; n <= 9; n++ {
		var file, other config.Route
		file.Balance, other.Balance = config.SourceHash, config.SourceHash
		for i := range n {
			file.Origins = append(file.Origins, server(fmt.Sprintf("10.0.0.%d:80", i+1), 1))
		}
		other.Origins = slices.Clone(file.Origins)
		slices.Reverse(other.Origins)
		here, there := NewPool(&file, nil), NewPool(&other, nil)
		before := make([]string, clients)
		for i := range before {
			ask := Ask{Client: someClient(i), Protocol: config.TCP, Now: noon}
			before[i] = here.Pick(ask).Text
			if got := there.Pick(ask).Text; got != before[i] {
				t.Fatalf("client %v goes to %s here and to %s there", ask.Client, before[i], got)
			}
		}
		here.Origins[n/2].SetChecked(true, "", noon)
		moved := 0
		for i := range before {
			switch after := here.Pick(Ask{Client: someClient(i), Protocol: config.TCP, Now: noon}).Text; {
			case after == before[i]:
			case before[i] == here.Origins[n/2].Text:
				moved++
			default:
				t.Fatalf("client %d of %s, which is up, moved to %s", i, before[i], after)
			}
		}
		if most := clients/n + clients/50; moved == 0 || moved > most {
			t.Errorf("%d of %d clients moved when one of %d origins went, want at most %d", moved, clients, n, most)
		}
	}
}

// TestSourceHashOfAnyBuild: these picks must never change, or hosts of two versions would disagree.
func TestSourceHashOfAnyBuild(t *testing.T) {
	r := &config.Route{Balance: config.SourceHash, Origins: []config.Origin{server("10.0.0.1:80", 1), server("10.0.0.2:80", 2), server("[2001:db8::1]:80", 1)}}
	p, picked := NewPool(r, nil), ""
	for i := range 40 {
		picked += string(rune('a' + slices.Index(p.Origins, p.Pick(Ask{Client: someClient(i)}))))
	}
	if want := goldenPicks; picked != want {
		t.Errorf("picks %s, want %s", picked, want)
	}
}

const goldenPicks = "bbcbcbccbabbbbbcaabbcbbcccacbacbcbbacaac"
