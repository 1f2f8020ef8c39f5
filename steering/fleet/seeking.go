package fleet

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// seeking is the questions about UDP flows that wait for an answer, and how many there may be. The loops of
// the proxy and the goroutine that hears the peers use it. It does no I/O.
type seeking struct {
	sought, shed, lost atomic.Uint64 // questions; those that were too many; datagrams that could not be sent on

	mu      sync.Mutex // guards what follows
	open    map[body]*flowQuestion
	buckets buckets
}

// flowQuestion is one of them.
type flowQuestion struct {
	left     []netip.Addr // peers that have not answered
	idle     time.Duration
	found    bool
	answered func()
}

// begin notes a question, unless there are too many of its client or of all.
func (s *seeking) begin(conn body, client netip.Addr, q *flowQuestion, now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.buckets.take(client, now) {
		s.shed.Add(1)
		return false
	}
	if s.open == nil {
		s.open = map[body]*flowQuestion{}
	}
	s.open[conn] = q
	s.sought.Add(1)
	return true
}

// end forgets a question, and says whether a peer has the flow.
func (s *seeking) end(conn body) (found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.open[conn]
	delete(s.open, conn)
	return q != nil && q.found
}

// have notes that a peer has the flow. Unless the question has ended, learn is called before anybody
// can see that.
func (s *seeking) have(conn body, learn func(idle time.Duration) error) {
	s.mu.Lock()
	q := s.open[conn]
	news := q != nil && !q.found && learn(q.idle) == nil
	if news {
		q.found = true
	}
	s.mu.Unlock()
	if news {
		q.answered()
	}
}

// lack notes that a peer does not have the flow.
func (s *seeking) lack(conn body, peer netip.Addr) {
	s.mu.Lock()
	q := s.open[conn]
	news := false
	if q != nil && !q.found && slices.Contains(q.left, peer) {
		q.left = slices.DeleteFunc(q.left, func(a netip.Addr) bool { return a == peer })
		news = len(q.left) == 0
	}
	s.mu.Unlock()
	if news {
		q.answered()
	}
}
