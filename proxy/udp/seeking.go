package udp

import (
	"sync"
	"time"

	"anyport/proxy/flow"
	"anyport/proxy/mailbox"
)

// What waits for answers. The bounds are of one loop: above them a flow begins here at once.
const (
	// answerWithin is how long a flow waits at most. A peer answers within a round trip, unless it has
	// died or its process has no CPU.
	answerWithin = 100 * time.Millisecond

	maxSought      = 4096    // flows
	maxSoughtBytes = 1 << 20 // of all datagrams that wait
	maxSoughtOfOne = 32      // messages of one flow
)

// seeking is the flows that other hosts were asked about, and whose datagrams wait. It belongs to one loop,
// except answers.
type seeking struct {
	fleet Fleet // nil: there is none
	open  map[flow.Key]*sought
	order []*sought // by deadline; those that are over may be among them
	due   []*sought // answered, or overdue; likewise
	bytes int
	answers
}

// sought is one of these flows.
type sought struct {
	key      flow.Key
	deadline time.Duration
	held     []arrival // copies
	over     bool
}

// answers are flows whose answer is known. The goroutines that call answered share it with the loop.
type answers struct {
	mu     sync.Mutex
	known  []*sought
	closed bool
}

// add is called by the fleet. After close it does nothing: the loop has no mailbox any more.
func (a *answers) add(s *sought, wake *mailbox.Queue) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.known = append(a.known, s)
		wake.Wake()
	}
}

func (a *answers) take() []*sought {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.known
	a.known = nil
	return known
}

func (a *answers) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}

// isElsewhere deals with an arrival of no flow here if another host has its flow, or is asked about it: then
// it waits.
func (l *loop) isElsewhere(a arrival, now time.Duration) bool {
	s := &l.seeking
	if s.fleet == nil {
		return false
	}
	if q := s.open[a.key]; q != nil {
		if len(q.held) < maxSoughtOfOne && s.hold(q, a) {
			return true
		}
		l.settle(q, now)
		if f := l.flows.Find(a.key); f != nil {
			l.forward(f, a, now)
			return true
		}
	}
	idle, ok := l.flows.MayBeElsewhere(a.key)
	if !ok || len(s.open) >= maxSought || s.bytes+len(a.Bytes) > maxSoughtBytes {
		return false
	}
	q := &sought{key: a.key, deadline: now + answerWithin}
	client, dst := a.key.Client.AddrPort(), a.key.Dst.AddrPort()
	asked, found := s.fleet.Seek(client, dst, idle, flow.IsShortHeader(a.At(0)), func() { s.answers.add(q, l.orders) })
	switch {
	case found:
		l.sendElsewhere(a)
	case asked:
		s.add(q)
		s.hold(q, a)
	}
	return asked || found
}

func (s *seeking) add(q *sought) {
	if s.open == nil {
		s.open = map[flow.Key]*sought{}
	}
	s.open[q.key] = q
	s.order = append(s.order, q)
}

// hold copies an arrival, if there is room.
func (s *seeking) hold(q *sought, a arrival) bool {
	if s.bytes+len(a.Bytes) > maxSoughtBytes {
		return false
	}
	s.bytes += len(a.Bytes)
	a.Bytes = append([]byte(nil), a.Bytes...)
	q.held = append(q.held, a)
	return true
}

func (l *loop) sendElsewhere(a arrival) {
	for i := range a.Length() {
		l.seeking.fleet.Send(a.key.Client.AddrPort(), a.key.Dst.AddrPort(), a.TOS, a.At(i))
	}
}

// settle ends a question: it sends the datagrams that have waited to the host that has the flow, or begins the flow
// here.
func (l *loop) settle(q *sought, now time.Duration) {
	if q.over {
		return
	}
	s := &l.seeking
	q.over = true
	delete(s.open, q.key)
	found := s.fleet.Found(q.key.Client.AddrPort(), q.key.Dst.AddrPort())
	for _, a := range q.held {
		s.bytes -= len(a.Bytes)
		if found {
			l.sendElsewhere(a)
		} else {
			l.forward(l.flows.Find(a.key), a, now)
		}
	}
	l.out.flush()
	q.held = nil
}

// settleDue ends the questions that are answered or overdue, as far as the turn may begin flows.
func (l *loop) settleDue(now time.Duration) {
	s := &l.seeking
	if s.fleet == nil {
		return
	}
	s.due = append(s.due, s.answers.take()...)
	n := 0
	for ; n < len(s.order) && (s.order[n].over || s.order[n].deadline <= now); n++ {
		s.due = append(s.due, s.order[n])
	}
	s.order = s.order[n:]
	n = 0
	for ; n < len(s.due) && l.newFlows.begun < newFlowsATurn; n++ {
		l.settle(s.due[n], now)
	}
	s.due = s.due[n:]
}

// settleAll leaves no question open.
func (l *loop) settleAll(now time.Duration) {
	for _, q := range l.seeking.order {
		l.settle(q, now)
	}
	for _, q := range l.seeking.due {
		l.settle(q, now)
	}
	l.seeking.order, l.seeking.due = nil, nil
}

// next is when settleDue has to be called; not ok: nobody waits.
func (s *seeking) next() (deadline time.Duration, ok bool) {
	switch {
	case len(s.due) > 0:
		return 0, true
	case len(s.order) > 0:
		return s.order[0].deadline, true
	}
	return 0, false
}
