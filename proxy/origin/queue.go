package origin

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"anyport/proxy/client"
)

// queues are those of one route. The second one is for clients with IPv6 addresses of a transparent
// route: no place of an IPv4 origin is for them, so they wait neither before nor behind clients with
// IPv4 addresses.
type queues struct {
	both    [2]Queue
	waiting atomic.Int32 // in both
	peak    atomic.Int32 // the most that waiting has been, in this process
}

// newQueues makes empty queues.
func newQueues() *queues {
	q := &queues{}
	q.both[0].of, q.both[1].of = q, q
	return q
}

// add counts that n more conns wait.
func (q *queues) add(n int32) {
	if q == nil {
		return
	}
	waiting := q.waiting.Add(n)
	for peak := q.peak.Load(); waiting > peak && !q.peak.CompareAndSwap(peak, waiting); peak = q.peak.Load() {
	}
}

// free calls the first of each queue. It does nothing without queues.
func (q *queues) free() {
	if q != nil {
		q.both[0].CallFirst()
		q.both[1].CallFirst()
	}
}

// Queue is the conns that wait because the origins of a route that they could go to have their
// max_conns: of all event loops, in the order in which they came. It is kept across reloads, and is safe for concurrent use.
//
// What frees a place calls the first that waits: its loop picks an origin again. If that finds none,
// the conn keeps its place in the queue. Nobody else is called until that loop has answered: of two that
// are called, the second might be faster. A conn that leaves after it was called has the next one called,
// so that no call is lost; and a conn that joins must look for a place again afterwards, since the last
// one may have been freed while nobody waited yet.
type Queue struct {
	of      *queues      // of the route; nil: there is only this one
	waiting atomic.Int32 // read without mu, by each conn that begins or ends

	mu          sync.Mutex // never held while a loop does anything else
	first, last *Waiter
	clients     map[netip.Addr]*client.Holder[netip.Addr]
	ranking     client.Ranking[netip.Addr] // of the clients, by how many conns of theirs wait
}

// Waiter is one conn in a Queue, which it joins once.
type Waiter struct {
	Client netip.Addr
	Since  time.Time // its place in the order
	Call   func()    // asks its loop to pick again; called with the queue locked, so it must not block

	called     bool // Call was called, and its loop has not answered yet
	displaced  bool // it has lost its place to a conn of another client
	in         bool // it is linked
	prev, next *Waiter
}

// Waiting is the number of conns that wait.
func (q *Queue) Waiting() int {
	return int(q.waiting.Load())
}

// Join adds w if fewer than most wait. Otherwise the newest conn of the client that has most of them
// gives way, if w's client has at least two fewer: it is called, and Answer tells it. So no client can
// keep the others out. It reports whether w waits.
func (q *Queue) Join(w *Waiter, most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.Waiting() >= most && !q.displaceFor(client.Of(w.Client)) {
		return false
	}
	q.link(w)
	return true
}

// displaceFor takes out a conn of the client that has most, for one of who.
func (q *Queue) displaceFor(who netip.Addr) bool {
	largest, held := q.ranking.Largest(), 0
	if h := q.clients[who]; h != nil {
		held = h.Held()
	}
	if largest == nil || largest.Held() < held+2 {
		return false
	}
	for w := q.last; w != nil; w = w.prev {
		if client.Of(w.Client) == largest.Value {
			q.unlink(w)
			w.displaced, w.called = true, true
			w.Call()
			return true
		}
	}
	return false
}

// CallFirst calls the first, because there may be a place for it, unless its loop has not answered its last
// call yet. No other conn is called then, which could be faster and take the place: whoever is served or
// passes has the next one called, so that several free places are found one after the other.
func (q *Queue) CallFirst() {
	if q.Waiting() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.call(q.first)
}

// Answer notes that w's loop has seen the call, and picks now. It reports whether w has lost its place.
func (q *Queue) Answer(w *Waiter) (displaced bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w.called = false
	return w.displaced
}

// IsFirst reports whether nobody comes before w.
func (q *Queue) IsFirst(w *Waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first == w
}

// PassOn calls the next one behind w, which cannot take what is free.
func (q *Queue) PassOn(w *Waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.call(w.next)
}

// Leave takes w out, if it is in.
func (q *Queue) Leave(w *Waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !w.in {
		return
	}
	q.unlink(w)
	if w.called {
		q.call(q.first)
	}
}

// call calls w, if there is one, and if its loop has answered its last call.
func (q *Queue) call(w *Waiter) {
	if w != nil && !w.called {
		w.called = true
		w.Call()
	}
}

// link puts w behind those that have waited for longer: usually the end, unless another process has
// sent it.
func (q *Queue) link(w *Waiter) {
	before := q.last
	for before != nil && before.Since.After(w.Since) {
		before = before.prev
	}
	w.in, w.prev = true, before
	if before == nil {
		w.next, q.first = q.first, w
	} else {
		w.next, before.next = before.next, w
	}
	if w.next == nil {
		q.last = w
	} else {
		w.next.prev = w
	}
	q.count(client.Of(w.Client))
	q.waiting.Add(1)
	q.of.add(1)
}

// count counts one more conn of a client.
func (q *Queue) count(who netip.Addr) {
	h := q.clients[who]
	if h == nil {
		if q.clients == nil {
			q.clients = map[netip.Addr]*client.Holder[netip.Addr]{}
		}
		h = &client.Holder[netip.Addr]{Value: who}
		q.clients[who] = h
	}
	q.ranking.Add(h)
}

func (q *Queue) unlink(w *Waiter) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.in, w.prev, w.next = false, nil, nil
	who := client.Of(w.Client)
	h := q.clients[who]
	if q.ranking.Remove(h); h.Held() == 0 {
		delete(q.clients, who)
	}
	q.waiting.Add(-1)
	q.of.add(-1)
}
