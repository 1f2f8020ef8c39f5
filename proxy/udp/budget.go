package udp

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"anyport/config"
	"anyport/proxy/client"
)

// budgets are what the networks of clients may get beyond the bound on amplification:
// each as many bytes a second as the route's amplification_budget says, a second's worth
// of which may come at once. All loops and routes share one budgets, so that a victim of
// forged sources gets no more from a process that has many routes. After an upgrade the new
// process begins with whole budgets.
//
// It is a fixed array of rate limiters, by the hash of the network: nothing is locked or
// evicted, and no number of forged networks makes it grow. Two networks with one hash share
// a budget. That is seldom noticed, since few networks ever use much of theirs, and the seed
// is random, so that nobody can choose a network that shares a victim's.
type budgets struct {
	seed maphash.Seed
	// When the slot's budget will be whole again, since the epoch of all loops: the
	// theoretical arrival time of the generic cell rate algorithm (ITU-T I.371).
	whole []atomic.Int64
}

// budgetSlots take 512 KiB.
const budgetSlots = 1 << 16

// budgetBurst is how much of a budget may be spent at once, in time.
const budgetBurst = time.Second

func newBudgets(slots int) *budgets {
	return &budgets{maphash.MakeSeed(), make([]atomic.Int64, slots)}
}

// slot is of an address's network, and maybe of others.
func (b *budgets) slot(addr netip.Addr) *atomic.Int64 {
	return &b.whole[maphash.Comparable(b.seed, client.Network(addr))%uint64(len(b.whole))]
}

// spend takes n bytes from the budget of an address's network, if they are there. What is
// more than a second's worth never is. What was spent is not given back where the kernel
// then refuses to send: it comes back by itself within a second.
func (b *budgets) spend(addr netip.Addr, n int, rate config.Rate, now time.Duration) bool {
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
