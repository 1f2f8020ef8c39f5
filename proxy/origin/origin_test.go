package origin

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
)

// pool makes a pool of origins a, b, c… with these weights.
func pool(b config.Balance, weights ...int) *Pool {
	r := &config.Route{Balance: b}
	for i, w := range weights {
		r.Origins = append(r.Origins, server(string(rune('a'+i)), w))
	}
	return NewPool(r, nil)
}

func server(name string, weight int) config.Origin {
	return config.Origin{Text: name, Addr: netip.MustParseAddr("10.0.0.5"), Weight: weight}
}

func clientAt(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}) }

// picks picks for n clients, and tells who was picked in order; "-" is nobody.
func picks(p *Pool, n int, tried ...*Origin) (names string) {
	for i := range n {
		if o := p.Pick(Ask{Client: clientAt(i), Protocol: config.TCP, Tried: tried}); o != nil {
			names += o.Text
		} else {
			names += "-"
		}
	}
	return names
}

func TestPickInOrder(t *testing.T) {
	for _, test := range []struct {
		balance config.Balance
		weights []int
		want    string
	}{
		{config.First, []int{1, 1, 1}, "aaaaaa"},
		{config.First, []int{0, 1, 1}, "bbbbbb"},
		{config.RoundRobin, []int{1, 1, 1}, "abcabcabc"},
		{config.RoundRobin, []int{3, 1}, "aabaaaba"},
		{config.RoundRobin, []int{5, 1, 1}, "aabacaaaabacaa"}, // nginx's own example of the smooth kind
		{config.RoundRobin, []int{20, 10}, "abaaba"},
		{config.RoundRobin, []int{1, 0, 1}, "acacac"},
		{config.RoundRobin, []int{0, 0}, "---"},
		{config.LeastConn, []int{0}, "-"},
		{config.Random, []int{0}, "-"},
		{config.SourceHash, []int{0}, "-"},
	} {
		if got := picks(pool(test.balance, test.weights...), len(test.want)); got != test.want {
			t.Errorf("%s %v: %s, want %s", test.balance, test.weights, got, test.want)
		}
	}
}

func TestTriedAndBackups(t *testing.T) {
	for _, b := range []config.Balance{config.RoundRobin, config.LeastConn, config.Random, config.SourceHash, config.First} {
		r := &config.Route{Balance: b, Origins: []config.Origin{
			server("a", 2), server("b", 1), server("s", 1), server("t", 1), server("z", 0)}}
		r.Origins[2].Backup, r.Origins[3].Backup = true, true
		p := NewPool(r, nil)
		for i := range 100 {
			var order string
			ask := Ask{Client: clientAt(i), Protocol: config.TCP}
			for o := p.Pick(ask); o != nil; o = p.Pick(ask) {
				order += o.Text
				ask.Tried = append(ask.Tried, o)
			}
			if first, then := order[:2], order[2:]; (first != "ab" && first != "ba") || (then != "st" && then != "ts") {
				t.Fatalf("%s: client %d tried %s, want a and b, then s and t", b, i, order)
			}
		}
	}
}

// count tells how many picks each origin got.
func count(names string) map[string]int {
	counts := map[string]int{}
	for _, r := range names {
		counts[string(r)]++
	}
	return counts
}

// TestLeastConnFollowsWeights: conns that stay end up in the ratio of the weights.
func TestLeastConnFollowsWeights(t *testing.T) {
	p := pool(config.LeastConn, 1, 2, 3)
	for i := range 600 {
		p.Pick(Ask{Client: clientAt(i), Protocol: config.TCP}).Begin()
	}
	var got []int64
	for _, o := range p.Origins {
		got = append(got, o.Active())
	}
	if diff := cmp.Diff([]int64{100, 200, 300}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLeastConnTakesTurnsAmongEquals(t *testing.T) {
	if got := count(picks(pool(config.LeastConn, 1, 1, 1), 30)); got["a"] != 10 || got["b"] != 10 || got["c"] != 10 {
		t.Errorf("30 idle picks: %v", got)
	}
}

func TestLeastConnPrefersTheIdle(t *testing.T) {
	p := pool(config.LeastConn, 1, 1)
	p.Origins[0].Begin()
	if got := picks(p, 5); got != "bbbbb" {
		t.Errorf("with a conn on a: %s", got)
	}
	p.Origins[0].End()
	p.Origins[1].Begin()
	if got := picks(p, 5); got != "aaaaa" {
		t.Errorf("with a conn on b instead: %s", got)
	}
}

// TestShares: random and source_hash follow the weights, within six standard
// deviations: once in 500 million runs that fails by chance.
func TestShares(t *testing.T) {
	const n = 20000
	for _, b := range []config.Balance{config.Random, config.SourceHash} {
		got := count(picks(pool(b, 1, 2, 3), n))
		for name, weight := range map[string]float64{"a": 1, "b": 2, "c": 3} {
			share := weight / 6
			if off := math.Abs(float64(got[name]) - n*share); off > 6*math.Sqrt(n*share*(1-share)) {
				t.Errorf("%s: %s got %d of %d, want about %.0f", b, name, got[name], n, n*share)
			}
		}
	}
}

// TestSourceHashMovesOnlyTheLost: the loss of an origin moves its own clients alone,
// whether it is tried in vain or taken from the file.
func TestSourceHashMovesOnlyTheLost(t *testing.T) {
	const n = 5000
	whole := pool(config.SourceHash, 1, 2, 1)
	before := picks(whole, n)
	r := &config.Route{Balance: config.SourceHash, Origins: []config.Origin{server("a", 1), server("c", 1)}}
	for name, after := range map[string]string{
		"tried": picks(whole, n, whole.Origins[1]),
		"gone":  picks(NewPool(r, nil), n),
	} {
		moved := 0
		for i := range n {
			if before[i] == 'b' {
				moved++
				continue
			}
			if before[i] != after[i] {
				t.Fatalf("%s: client %d of %c moved to %c", name, i, before[i], after[i])
			}
		}
		if moved == 0 || count(after)["a"] <= count(before)["a"] || count(after)["c"] <= count(before)["c"] {
			t.Errorf("%s: the %d clients of b went from %v to %v, want both others to get some", name, moved, count(before), count(after))
		}
	}
	if again := picks(whole, n); again != before {
		t.Error("the same clients were sent elsewhere the second time")
	}
}

func TestPoolKeepsCountsOfWhatStays(t *testing.T) {
	r := &config.Route{Balance: config.First, Origins: []config.Origin{server("a", 1), server("b", 1)}}
	old := NewPool(r, nil)
	old.Origins[0].Begin()
	old.Origins[1].Begin()
	changed := &config.Route{Balance: config.RoundRobin, Origins: []config.Origin{server("b", 2), server("c", 1), server("a", 1)}}
	p := NewPool(changed, old)
	old.Origins[0].End() // a conn of before the reload ends
	var got []string
	for _, o := range p.Origins {
		got = append(got, fmt.Sprint(o.Text, " ", o.Active(), " ", o.Total()))
	}
	if diff := cmp.Diff([]string{"b 1 1", "c 0 0", "a 0 1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAt(t *testing.T) {
	for _, test := range []struct {
		ports config.PortRange
		base  uint16
		port  uint16
		want  string
	}{
		{config.PortRange{}, 0, 4711, "10.0.0.5:4711"},
		{config.PortRange{First: 8080, Last: 8080}, 0, 4711, "10.0.0.5:8080"},
		{config.PortRange{First: 3000, Last: 4000}, 1000, 1000, "10.0.0.5:3000"},
		{config.PortRange{First: 3000, Last: 4000}, 1000, 2000, "10.0.0.5:4000"},
		{config.PortRange{First: 1, Last: 65535}, 1, 65535, "10.0.0.5:65535"},
	} {
		o := &Origin{Origin: config.Origin{Addr: netip.MustParseAddr("10.0.0.5"), Ports: test.ports, Base: test.base}}
		if got := o.At(test.port); got != netip.MustParseAddrPort(test.want) {
			t.Errorf("%v from %d: port %d goes to %v, want %s", test.ports, test.base, test.port, got, test.want)
		}
	}
}
