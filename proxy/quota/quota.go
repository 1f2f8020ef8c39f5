// Package quota divides what a process may hold of something among its event loops.
//
// A part is each loop's own, so that no other loop's flood takes it all. The rest is
// common: it belongs to the loop that asks first, for the clients of one loop may be most
// of all there are. No loop ever asks another one, or waits for it.
package quota

import (
	"sync"
	"sync/atomic"
)

// Pool is what several quotas have in common.
type Pool struct {
	left atomic.Int64 // less than 0 where more is taken than there is now
	size int          // of whoever resizes it
}

// NewPool returns a pool of n.
func NewPool(n int) *Pool {
	p := &Pool{}
	p.Resize(n)
	return p
}

// Resize makes it a pool of n, whatever is taken from it. Calls must not race.
func (p *Pool) Resize(n int) {
	p.left.Add(int64(n - p.size))
	p.size = n
}

// Quota is how much one loop may hold. The loop alone takes and gives; Held is for
// everybody. A nil Quota has no bound.
type Quota struct {
	mu     sync.Mutex // the loop's, but for the moment in which the quotas are divided again
	own    int64
	held   atomic.Int64
	common *Pool
}

// New returns a quota of own, and of what its pool has left.
func New(own int, common *Pool) *Quota { return &Quota{own: int64(own), common: common} }

// Divide makes a quota for each loop: own is shared out evenly, and what does not come out
// even goes to the pool.
func Divide(own, loops int, common *Pool) []*Quota {
	all := make([]*Quota, loops)
	for i := range all {
		all[i] = New(0, common)
	}
	common.Resize(common.size + Redivide(all, own))
	return all
}

// Redivide shares out another number among quotas that are in use, and returns what does not come
// out even, which the pool is to have. What is held stays held, also where it is more than there is now:
// then nothing can be taken until enough is given back.
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

// Take takes n, if n are left.
func (q *Quota) Take(n int) bool {
	if q == nil {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.held.Load()
	if need := q.beyond(held+int64(n)) - q.beyond(held); need > 0 && q.common.left.Add(-need) < 0 {
		q.common.left.Add(need)
		return false
	}
	q.held.Store(held + int64(n))
	return true
}

// Insist takes n in any case.
func (q *Quota) Insist(n int) { q.move(int64(n)) }

// Give gives back n.
func (q *Quota) Give(n int) { q.move(int64(-n)) }

// Held is how much is taken. Other goroutines may call it.
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
