package push

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"anyport/cmd/anyport/internal/fleet"
)

// TestTail compares with the sum of exact terms.
func TestTail(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + random.Uint64N(120)
		p := big.NewRat(1+random.Int64N(98), 100)
		p64, _ := p.Float64()
		k := uint64(p64*float64(n)) + 1
		if k > n {
			continue
		}
		want, _ := exactTail(int64(k), int64(n), p).Float64()
		if got := tail(k, n, p64); math.Abs(got-want) > 1e-9*want {
			t.Errorf("tail(%d, %d, %v) = %g, want %g", k, n, p64, got, want)
		}
	}
}

func exactTail(k, n int64, p *big.Rat) *big.Rat {
	sum, q := new(big.Rat), new(big.Rat).Sub(big.NewRat(1, 1), p)
	for ; k <= n; k++ {
		term := new(big.Rat).SetInt(new(big.Int).Binomial(n, k))
		for i := range n {
			if i < k {
				term.Mul(term, p)
			} else {
				term.Mul(term, q)
			}
		}
		sum.Add(sum, term)
	}
	return sum
}

func TestWorse(t *testing.T) {
	for _, test := range []struct {
		name             string
		tried, reference fleet.Totals
		want             string
	}{
		{"nothing", fleet.Totals{}, fleet.Totals{}, ""},
		{"all are well", fleet.Totals{Conns: 1e6}, fleet.Totals{Conns: 1e6}, ""},
		{"few, all bad", fleet.Totals{Conns: 9, Failed: 9}, fleet.Totals{Conns: 1e6}, ""},
		{"few more, all bad", fleet.Totals{Conns: 12, Failed: 12}, fleet.Totals{Conns: 1000}, "failed"},
		{"all bad, of as many elsewhere", fleet.Totals{Conns: 100, Failed: 100}, fleet.Totals{Conns: 100}, "failed"},
		{"exactly twice", fleet.Totals{Conns: 1e6, Refused: 2e4}, fleet.Totals{Conns: 1e6, Refused: 1e4}, ""},
		{"thrice, of many", fleet.Totals{Conns: 1e5, Refused: 3e3}, fleet.Totals{Conns: 1e6, Refused: 1e4}, "refused"},
		{"thrice, of few", fleet.Totals{Conns: 1e3, Refused: 30}, fleet.Totals{Conns: 1e4, Refused: 100}, ""},
		{"the rarest", fleet.Totals{Conns: 1e5, Refused: 1e4, Reset: 100}, fleet.Totals{Conns: 1e5, Refused: 1e4, Reset: 5}, "reset"},
		{"no reference", fleet.Totals{Conns: 1e5, Failed: 1e5}, fleet.Totals{}, ""},
		{"all are bad everywhere", fleet.Totals{Conns: 1e5, Failed: 1e5}, fleet.Totals{Conns: 1e5, Failed: 6e4}, ""},
		{"very many", fleet.Totals{Conns: 1e12, Reset: 3e9}, fleet.Totals{Conns: 1e12, Reset: 1e9}, "reset"},
		{"more bad than conns", fleet.Totals{Conns: 50, Reset: 80}, fleet.Totals{Conns: 50, Reset: 1}, "reset"},
	} {
		if got, why := worse(test.tried, test.reference, 1); got != test.want {
			t.Errorf("%s: %q (%s), want %q", test.name, got, why, test.want)
		}
	}
}

// TestChanceDoesNotAccuse: a good table on hosts with the same part of bad conns is never accused, in far more
// looks than a push takes, and one that is ten times as bad always is in the end.
func TestChanceDoesNotAccuse(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		rate := math.Pow(10, -3*random.Float64()) / 3
		share := 1 + random.IntN(20) // conns of the others for each of ours
		var tried, reference, bad fleet.Totals
		for range 300 {
			for range 20 {
				tried.Conns, bad.Conns = tried.Conns+1, bad.Conns+1
				tried.Failed += happens(random, rate)
				bad.Failed += happens(random, 10*rate)
			}
			for range 20 * share {
				reference.Conns++
				reference.Failed += happens(random, rate)
			}
			if name, why := worse(tried, reference, 1); name != "" {
				t.Fatalf("accused at a rate of %v: %s", rate, why)
			}
		}
		if name, _ := worse(bad, reference, 1); name == "" && bad.Failed > 60 && rate < 0.1 {
			t.Errorf("%+v passed beside %+v", bad, reference)
		}
	}
}

func happens(random *rand.Rand, p float64) uint64 {
	if random.Float64() < p {
		return 1
	}
	return 0
}

func TestSince(t *testing.T) {
	a := fleet.Totals{Conns: 10, Refused: 1, Failed: 2, Reset: 3}
	b := fleet.Totals{Conns: 30, Refused: 1, Failed: 4, Reset: 5}
	if got, want := since(a, b), (fleet.Totals{Conns: 20, Failed: 2, Reset: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := since(b, a); got != a {
		t.Errorf("of a process that began again: %+v, want %+v", got, a)
	}
}
