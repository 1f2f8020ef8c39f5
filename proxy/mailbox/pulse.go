package mailbox

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Pulse finds loops that have stopped turning: each gets a wake-up, and answers by calling Run. Between
// two questions that costs a loop nothing. It is safe for concurrent use.
type Pulse struct {
	mu    sync.Mutex
	loops map[*Queue]*watched
	added map[Name]time.Duration // how long loops have worked that have ended, and those of other processes
}

// Name is what a loop is called.
type Name struct {
	Of     string // the protocol
	Number int
}

func (n Name) String() string { return fmt.Sprintf("%s/%d", n.Of, n.Number) }

// watched is a loop that a Pulse knows of.
type watched struct {
	Name
	asked uint64               // how often it had called Run when it was asked last
	busy  func() time.Duration // how long its turns have taken so far
	load  Load
}

// NewPulse makes a Pulse without loops.
func NewPulse() *Pulse {
	return &Pulse{loops: map[*Queue]*watched{}, added: map[Name]time.Duration{}}
}

// Watch adds a loop until forget, which must be called before the queue's Close. busy is how long the
// turns of the loop have taken so far; any goroutine calls it. A nil Pulse watches nothing.
func (p *Pulse) Watch(q *Queue, name Name, busy func() time.Duration) (forget func()) {
	if p == nil {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loops[q] = &watched{Name: name, asked: q.runs.Load(), busy: busy, load: Load{Name: name, Idle: 1}}
	q.Wake()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.added[name] += p.loops[q].busy()
		delete(p.loops, q)
	}
}

// Loops is the number of loops.
func (p *Pulse) Loops() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.loops)
}

// Ask returns how many loops have not answered since the last Ask, or since Watch, and asks all again.
// A loop that has ended counts as one that answered.
func (p *Pulse) Ask() (stuck int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for q, l := range p.loops {
		now := q.runs.Load()
		if now == l.asked && !q.hasEnded() {
			stuck++
		}
		l.asked = now
		q.Wake()
	}
	return stuck
}

// Load is how much of its time a loop works.
type Load struct {
	Name
	Busy time.Duration // in all processes
	Idle float64       // the share of the time between the last two calls of Look that it waited in; 1 before them
}

// Look measures the loops. elapsed is the time since the last call.
func (p *Pulse) Look(elapsed time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.loops {
		busy := l.busy()
		l.load.Idle = max(0, min(1, 1-float64(busy-l.load.Busy)/float64(elapsed)))
		l.load.Busy = busy
	}
}

// AddBusy adds how long the turns of a loop of that name have taken in another process. It ignores a name
// that is none.
func (p *Pulse) AddBusy(text string, busy time.Duration) {
	protocol, number, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.added[Name{protocol, n}] += busy
}

// Loads are the loops as the last Look has found them, in order. Those that have worked only in another
// process, or have ended, are idle: how long they have worked must not be forgotten.
func (p *Pulse) Loads() (all []Load) {
	p.mu.Lock()
	defer p.mu.Unlock()
	loads := map[Name]Load{}
	for name, busy := range p.added {
		loads[name] = Load{Name: name, Busy: busy, Idle: 1}
	}
	for _, l := range p.loops {
		load := l.load
		load.Busy += p.added[l.Name]
		loads[l.Name] = load
	}
	for _, load := range loads {
		all = append(all, load)
	}
	slices.SortFunc(all, func(a, b Load) int { return cmp.Or(cmp.Compare(a.Of, b.Of), cmp.Compare(a.Number, b.Number)) })
	return all
}
