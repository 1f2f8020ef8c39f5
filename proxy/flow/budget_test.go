package flow_test

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/flow"
)

// TestBudgets spends at random from the budgets of a few networks, on routes with several
// rates, beside an account in fractions of a second.
func TestBudgets(t *testing.T) {
	rates := []config.Rate{1000, 1 << 20, 3_000_000}
	networks := []string{"192.0.2.1", "192.0.2.254", "198.51.100.1", "2001:db8:0:100::1", "2001:db8:0:1ff::1", "2001:db8:0:200::1"}
	accountOf := []int{0, 0, 1, 2, 2, 3}
	b := flow.NewBudgets(flow.BudgetSlots)
	for b.Slots(networks) < 4 { // two of the four networks share a slot, once in 10,000 times
		b = flow.NewBudgets(flow.BudgetSlots)
	}
	var spent [4]float64  // of each network's second
	const rounding = 1e-4 // a spend is rounded up to a nanosecond, and thousands follow on each other
	last, now := time.Duration(0), time.Duration(0)
	for range 100_000 {
		now += time.Duration(rand.IntN(int(2 * time.Millisecond)))
		for i := range spent {
			spent[i] = max(0, spent[i]-(now-last).Seconds())
		}
		last = now
		i, n, rate := rand.IntN(len(networks)), rand.IntN(1500), rates[rand.IntN(len(rates))]
		after := spent[accountOf[i]] + float64(n)/float64(rate)
		got := b.Spend(netip.MustParseAddr(networks[i]), n, rate, now)
		if after < 1-rounding && !got || after > 1+rounding && got {
			t.Fatalf("%d bytes at %v for %s: %v, and %v s of its second would be spent", n, rate, networks[i], got, after)
		}
		if got {
			spent[accountOf[i]] = after
		}
	}
}

// TestBudgetsOfManyLoops has loops spend all at once: never more than there is.
func TestBudgetsOfManyLoops(t *testing.T) {
	b, network := flow.NewBudgets(1), netip.MustParseAddr("192.0.2.1")
	var spent atomic.Int64
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			for range 10_000 {
				if b.Spend(network, 100, 100_000, time.Minute) {
					spent.Add(100)
				}
			}
		})
	}
	loops.Wait()
	if spent.Load() != 100_000 {
		t.Errorf("%d bytes were spent of 100,000", spent.Load())
	}
}

// TestNoBudget: a rate of 0 has nothing to spend, and a datagram of more than a second's
// worth is never paid for.
func TestNoBudget(t *testing.T) {
	b, network := flow.NewBudgets(1), netip.MustParseAddr("192.0.2.1")
	if b.Spend(network, 1, 0, time.Hour) || b.Spend(network, 1001, 1000, time.Hour) {
		t.Error("something was spent")
	}
	if !b.Spend(network, 1000, 1000, time.Hour) {
		t.Error("a second's worth was not spent")
	}
}

// BenchmarkBudget is what a datagram beyond the bound costs more than another.
func BenchmarkBudget(b *testing.B) {
	budgets, network := flow.NewBudgets(flow.BudgetSlots), netip.MustParseAddr("192.0.2.1")
	for i := 0; b.Loop(); i++ {
		budgets.Spend(network, 100, 1<<30, time.Duration(i)*time.Microsecond)
	}
}
