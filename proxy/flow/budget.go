package flow

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"anyport/config"
	"anyport/proxy/client"
)

// Budgets are what the networks of clients may be sent beyond the bound on amplification: for each
// network as many bytes a second as the route's amplification_budget says; a second's worth may be
// sent at once. All loops and routes share one Budgets, so that a victim of forged sources gets no
// more from a process that has many routes. After an upgrade the new process begins with full
// budgets.
//
// It is a fixed array of rate limiters, by the hash of the network: nothing is locked or evicted,
// and no number of forged networks makes it grow. Two networks with the same hash share a budget.
// That is seldom noticed, since few networks ever use much of theirs, and the seed is random, so
// that nobody can choose a network that shares a victim's budget.
type Budgets struct {
	seed maphash.Seed
	// By slot, when its budget will be full again, in ns since the epoch of all loops: the theoretical
	// arrival time of the generic cell rate algorithm (ITU-T I.371).
	fullAt []atomic.Int64
}

// BudgetSlots is the number of rate limiters of a process, which take 512 KiB.
const BudgetSlots = 1 << 16

// budgetBurst is how much of a budget may be spent at once, in time.
const budgetBurst = time.Second

// NewBudgets makes full budgets.
func NewBudgets(slots int) *Budgets {
	return &Budgets{maphash.MakeSeed(), make([]atomic.Int64, slots)}
}

// slot is that of an address's network, and maybe of others.
func (b *Budgets) slot(addr netip.Addr) *atomic.Int64 {
	return &b.fullAt[maphash.Comparable(b.seed, client.Network(addr))%uint64(len(b.fullAt))]
}

// Spend takes n bytes from the budget of an address's network, if they are there. More than a
// second's worth never is. What the kernel then refuses to send is not given back: the budget is
// full again within a second.
func (b *Budgets) Spend(addr netip.Addr, n int, rate config.Rate, now time.Duration) bool {
	if rate == 0 {
		return false
	}
	slot := b.slot(addr)
	cost := int64(math.Ceil(float64(n) / float64(rate) * float64(time.Second)))
	for {
		before := slot.Load()
		after := max(before, int64(now)) + cost
		if after-int64(now) > int64(budgetBurst) {
			return false
		}
		if slot.CompareAndSwap(before, after) {
			return true
		}
	}
}
