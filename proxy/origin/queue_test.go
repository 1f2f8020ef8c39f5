package origin

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"anyport/config"
)

// naiveQueue is a Queue as a list: the oracle.
type naiveQueue struct {
	waiting   []*naiveWaiter
	called    []string // the Calls, in order
	displaced map[string]bool
}

type naiveWaiter struct {
	name   string
	client int
	since  int
	called bool
}

func (q *naiveQueue) held(client int) (n int) {
	for _, w := range q.waiting {
		if w.client == client {
			n++
		}
	}
	return n
}

// join may displace the last conn of a client that has as many as any: which client, the queue says.
func (q *naiveQueue) join(w *naiveWaiter, most int, victim string) bool {
	if len(q.waiting) >= most {
		largest := 0
		for _, other := range q.waiting {
			largest = max(largest, q.held(other.client))
		}
		if largest < q.held(w.client)+2 {
			return false
		}
		at := slices.IndexFunc(q.waiting, func(o *naiveWaiter) bool { return o.name == victim })
		if at < 0 || q.held(q.waiting[at].client) != largest {
			panic(fmt.Sprintf("%q gives way, and holds less than %d", victim, largest))
		}
		for _, later := range q.waiting[at+1:] {
			if later.client == q.waiting[at].client {
				panic(victim + " gives way, and is not the newest of its client")
			}
		}
		q.called = append(q.called, victim)
		q.displaced[victim] = true
		q.waiting = slices.Delete(q.waiting, at, at+1)
	}
	at := len(q.waiting)
	for at > 0 && q.waiting[at-1].since > w.since {
		at--
	}
	q.waiting = slices.Insert(q.waiting, at, w)
	return true
}

func (q *naiveQueue) call(at int) {
	if at < len(q.waiting) && !q.waiting[at].called {
		q.waiting[at].called = true
		q.called = append(q.called, q.waiting[at].name)
	}
}

// TestQueue plays random lives of a queue, and compares who waits and who is called with the oracle.
func TestQueue(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		var q Queue
		naive := naiveQueue{displaced: map[string]bool{}}
		var calls []string
		var in []*Waiter
		names, oracles := map[*Waiter]string{}, map[*Waiter]*naiveWaiter{}
		for step := range 200 {
			pick := func() *Waiter { return in[random.IntN(len(in))] }
			switch op := random.IntN(6); {
			case op < 2 || len(in) == 0:
				client, since, name := random.IntN(4), step-random.IntN(3)*random.IntN(10), fmt.Sprint(step)
				w := &Waiter{Client: clientAt(client), Since: noon.Add(time.Duration(since))}
				w.Call = func() { calls = append(calls, name) }
				names[w], oracles[w] = name, &naiveWaiter{name: name, client: client, since: since}
				before := len(calls)
				joined := q.Join(w, 8)
				victim := ""
				if len(calls) > before {
					victim = calls[before]
				}
				if want := naive.join(oracles[w], 8, victim); joined != want {
					t.Fatalf("seed %d: joined %v, want %v", seed, joined, want)
				}
				if joined {
					in = append(in, w)
				}
			case op == 2:
				q.CallFirst()
				naive.call(0)
			case op == 3:
				w := pick()
				if got := q.Answer(w); got != naive.displaced[names[w]] {
					t.Fatalf("seed %d: displaced %v", seed, got)
				}
				oracles[w].called = false
			case op == 4:
				if w := pick(); !naive.displaced[names[w]] {
					q.PassOn(w)
					naive.call(slices.Index(naive.waiting, oracles[w]) + 1)
				}
			default:
				w := pick()
				q.Leave(w)
				q.Leave(w)
				if at := slices.Index(naive.waiting, oracles[w]); at >= 0 {
					naive.waiting = slices.Delete(naive.waiting, at, at+1)
					if oracles[w].called {
						naive.call(0)
					}
				}
				in = slices.DeleteFunc(in, func(o *Waiter) bool { return o == w })
			}
			if got, want := strings.Join(calls, " "), strings.Join(naive.called, " "); got != want {
				t.Fatalf("seed %d, step %d: called %s\nwant   %s", seed, step, got, want)
			}
			var order, want []string
			for w := q.first; w != nil; w = w.next {
				order = append(order, names[w])
			}
			for _, w := range naive.waiting {
				want = append(want, w.name)
			}
			if !slices.Equal(order, want) || q.Waiting() != len(want) {
				t.Fatalf("seed %d, step %d: %v wait (%d), want %v", seed, step, order, q.Waiting(), want)
			}
		}
		for _, w := range in {
			q.Leave(w)
		}
		if q.first != nil || q.last != nil || q.Waiting() != 0 || len(q.clients) != 0 || q.ranking.Largest() != nil {
			t.Fatalf("seed %d: something is left of an empty queue: %+v", seed, &q)
		}
	}
}

// TestCallFirst: for one place, one conn is called at a time, however many ask.
func TestCallFirst(t *testing.T) {
	all := newQueues()
	q := &all.both[0]
	var called []string
	waiters := map[string]*Waiter{}
	for n, name := range []string{"a", "b"} {
		w := &Waiter{Client: netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}), Since: time.Unix(int64(n), 0), Call: func() { called = append(called, name) }}
		waiters[name] = w
		q.Join(w, 2)
	}
	q.CallFirst()
	q.CallFirst()
	if got := strings.Join(called, ""); got != "a" {
		t.Errorf("called %q, want a alone", got)
	}
	q.Answer(waiters["a"])
	q.CallFirst()
	q.of.free() // a place, while a's loop has not answered: b must not take it
	if got := strings.Join(called, ""); got != "aa" {
		t.Errorf("called %q, want a twice, and not b", got)
	}
	q.Leave(waiters["a"]) // it was called, so the next one is
	q.CallFirst()
	if got := strings.Join(called, ""); got != "aab" {
		t.Errorf("called %q, want aab", got)
	}
}

// TestNoPlaceIsLost has goroutines, each a conn of its own, take, hold and free the places of two
// origins. Whoever finds none waits until it is called. If a freed place is lost, they wait forever.
func TestNoPlaceIsLost(t *testing.T) {
	r := &config.Route{Balance: config.LeastConn, Origins: []config.Origin{{Text: "a", Weight: 1, MaxConns: 1}, {Text: "b", Weight: 1, MaxConns: 2}}}
	p := NewPool(r, nil)
	take := func(ask Ask) *Origin {
		for {
			o := p.Pick(ask)
			if o == nil || o.TryBegin() {
				return o
			}
		}
	}
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			ask := Ask{Client: netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), Protocol: config.TCP}
			for range 500 {
				ask.Now = time.Now()
				var o *Origin
				if p.Queue(asking(0, nil)).Waiting() == 0 {
					o = take(ask)
				}
				if o == nil {
					runtime.Gosched() // what it needs may be freed now
					called := make(chan struct{}, 100)
					w := &Waiter{Client: ask.Client, Since: ask.Now, Call: func() { called <- struct{}{} }}
					if !p.Queue(asking(0, nil)).Join(w, 100) {
						t.Error("the queue is full")
						return
					}
					if p.HasRoom(ask) {
						p.Queue(asking(0, nil)).CallFirst()
					}
					for o == nil {
						select {
						case <-called:
						case <-time.After(20 * time.Second):
							t.Errorf("a conn waits, and the origins have %d and %d conns", p.Origins[0].Active(), p.Origins[1].Active())
							return
						}
						p.Queue(asking(0, nil)).Answer(w)
						o = take(ask)
					}
					p.Queue(asking(0, nil)).Leave(w)
					p.Queue(asking(0, nil)).CallFirst()
				}
				runtime.Gosched()
				o.End()
			}
		})
	}
	all.Wait()
	if a, b := p.Origins[0].Active(), p.Origins[1].Active(); a != 0 || b != 0 || p.Queue(asking(0, nil)).Waiting() != 0 {
		t.Errorf("%d and %d conns are left, and %d wait", a, b, p.Queue(asking(0, nil)).Waiting())
	}
}
