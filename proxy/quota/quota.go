package quota

import (
	"sync"
	"sync/atomic"
)

// Pool is the common part of several quotas.
type Pool struct {
	left atomic.Int64 // negative after Insist beyond the bound, or when it was made smaller
	size atomic.Int64 // changed only by the goroutine that resizes it
}

// NewPool returns a pool of n.
func NewPool(n int) *Pool {
	p := &Pool{}
	p.Resize(n)
	return p
}

// Resize makes it a pool of n, whatever is taken from it. Calls must not race.
func (p *Pool) Resize(n int) {
	p.left.Add(int64(n) - p.size.Swap(int64(n)))
}

func (p *Pool) take(n int64) bool {
	for {
		left := p.left.Load()
		if left < n {
			return false
		}
		if p.left.CompareAndSwap(left, left-n) {
			return true
		}
	}
}

// Quota is how much one loop may hold. Only that loop takes and gives; any goroutine may call Held. A
// nil Quota has no bound.
type Quota struct {
	mu     sync.Mutex   // held by the loop, except at the moment in which Redivide changes own
	own    int64        // that no other loop can take
	held   atomic.Int64 // beyond own, it is taken from common
	common *Pool
}

// New returns a quota of own and of what is left in common.
func New(own int, common *Pool) *Quota { return &Quota{own: int64(own), common: common} }

// Divide makes a quota for each loop: own is divided evenly among them, and the remainder goes to the
// pool.
func Divide(own, loops int, common *Pool) []*Quota {
	all := make([]*Quota, loops)
	for i := range all {
		all[i] = New(0, common)
	}
	common.Resize(int(common.size.Load()) + Redivide(all, own))
	return all
}

// Redivide divides another number among quotas that are in use, and returns the remainder, which the
// caller adds to the pool. A loop keeps what it holds even if that is more than the new total: it can
// take again when enough was given back.
func Redivide(all []*Quota, own int) (rest int) {
	if len(all) == 0 {
		return own
	}
	each := own / len(all)
	for _, q := range all {
		q.resize(int64(each))
	}
	return own - each*len(all)
}

func (q *Quota) resize(own int64) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	before := q.beyond(q.held.Load())
	q.own = own
	q.common.left.Add(before - q.beyond(q.held.Load()))
}

// Take takes n if as many are left, and reports whether it did.
func (q *Quota) Take(n int) bool {
	if q == nil {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.held.Load()
	if need := q.beyond(held+int64(n)) - q.beyond(held); need > 0 && !q.common.take(need) {
		return false
	}
	q.held.Store(held + int64(n))
	return true
}

// Insist takes n in any case, also beyond the bound: for what is open already, as after an upgrade.
func (q *Quota) Insist(n int) { q.move(int64(n)) }

// Give gives back n.
func (q *Quota) Give(n int) { q.move(int64(-n)) }

// Overdrawn reports whether all loops together hold more than the new total: what is given back then
// makes no room for anybody.
func (q *Quota) Overdrawn() bool { return q != nil && q.common.left.Load() < 0 }

// Ample reports whether a quarter of the common part is left at least: who does not need what it takes
// leaves the rest to the others.
func (q *Quota) Ample() bool { return q == nil || q.common.left.Load() > q.common.size.Load()/4 }

// Full reports whether Take would take nothing.
func (q *Quota) Full() bool {
	if q == nil {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held.Load() >= q.own && q.common.left.Load() <= 0
}

// Held is how much is taken. Any goroutine may call it.
func (q *Quota) Held() int {
	if q == nil {
		return 0
	}
	return int(q.held.Load())
}

func (q *Quota) move(n int64) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.held.Load()
	if need := q.beyond(held+n) - q.beyond(held); need != 0 {
		q.common.left.Add(-need)
	}
	q.held.Store(held + n)
}

// beyond is the part of held that comes from the pool.
func (q *Quota) beyond(held int64) int64 { return max(0, held-q.own) }
