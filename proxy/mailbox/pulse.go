package mailbox

import "sync"

// Pulse finds loops that have stopped turning: each gets a wake-up, and answers by calling Run. Between
// two questions that costs a loop nothing. It is safe for concurrent use.
type Pulse struct {
	mu    sync.Mutex
	asked map[*Queue]uint64 // how often a loop had called Run when it was asked last
}

// NewPulse makes a Pulse without loops.
func NewPulse() *Pulse { return &Pulse{asked: map[*Queue]uint64{}} }

// Watch adds a loop until forget, which must be called before the queue's Close. A nil Pulse watches
// nothing.
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

// Loops is the number of loops.
func (p *Pulse) Loops() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

// Ask returns how many loops have not answered since the last Ask, or since Watch, and asks all again.
// A loop that has ended counts as one that answered.
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
