package mailbox

import "sync"

// Pulse tells whether the loops of a process turn: each is asked by a wake-up, and answers by
// looking at its orders. That costs a loop nothing between two questions.
type Pulse struct {
	mu    sync.Mutex
	asked map[*Queue]uint64 // what a loop had run when it was asked last
}

// NewPulse makes a Pulse without loops.
func NewPulse() *Pulse { return &Pulse{asked: map[*Queue]uint64{}} }

// Watch adds a loop, until forget is called, which must be before the Close of the queue. A nil
// Pulse has no loops.
func (p *Pulse) Watch(q *Queue) (forget func()) {
	if p == nil {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[q] = q.runs.Load()
	q.Wake()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.asked, q)
	}
}

// Loops is how many there are.
func (p *Pulse) Loops() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

// Ask returns how many loops have not answered since the last Ask, or since they were added, and
// asks all again.
func (p *Pulse) Ask() (stuck int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for q, before := range p.asked {
		now := q.runs.Load()
		if now == before && !q.hasEnded() {
			stuck++
		}
		p.asked[q] = now
		q.Wake()
	}
	return stuck
}
