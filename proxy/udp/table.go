package udp

import (
	"container/heap"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/route"
)

// sockets is what the table needs of the kernel; tests put a fake in its place.
type sockets interface {
	// dial gives f its socket, connected to the origin's address.
	dial(f *flow, to netip.AddrPort) error
	// take gives f a socket that is connected already. On error fd is still the caller's.
	take(f *flow, fd int) error
	// hangUp sends what still waits for f, and closes its socket.
	hangUp(f *flow)
}

// table is the flows of one loop: their birth, life and end. It does no I/O of
// its own, and belongs to the loop alone.
type table struct {
	routes  *route.Live
	shard   int
	may     *allowance // flows
	mayOwn  *allowance // those of them with a socket of their own
	sockets sockets
	replies *replies
	record  func(route.Record)
	report  func(now time.Duration, text string, args ...any) // a fault, for the log
	epoch   time.Time                                         // the zero of all times here

	flows      map[key]*flow
	byDue      dueOrder
	unanswered unanswered
	set        *route.Set // the generation last seen
	draining   bool
	dials      uint32 // counts sockets of flows, for their generation
}

func (t *table) init() {
	t.flows = map[key]*flow{}
	t.unanswered = unanswered{lines: map[crowd]*line{}}
	t.set = t.routes.Set()
}

// datagram decides on n bytes of payload from a client: it finds their flow, or
// begins it. There is a flow with the verdict Forwarded alone. All else is
// counted here.
func (t *table) datagram(k key, n int, now time.Duration) (*flow, route.Verdict) {
	f := t.flows[k]
	if f == nil {
		var verdict route.Verdict
		if f, verdict = t.begin(k, now); f == nil {
			return nil, verdict
		}
	}
	if verdict := t.request(f, n, now); verdict != route.Forwarded {
		return nil, verdict
	}
	return f, route.Forwarded
}

// request decides on n bytes of payload from f's client. What is not forwarded is
// counted here.
func (t *table) request(f *flow, n int, now time.Duration) route.Verdict {
	verdict := f.fromClient(n, now)
	if verdict != route.Forwarded {
		f.counters.Datagrams(route.ToOrigin, verdict, 1)
	}
	return verdict
}

// answer decides on a datagram of f's origin, and returns what of it is for the
// client. What is not forwarded is counted here.
func (t *table) answer(f *flow, reply []byte, now time.Duration) ([]byte, route.Verdict) {
	payload, verdict := f.fromOrigin(reply, now)
	if verdict != route.Forwarded {
		f.counters.Datagrams(route.ToClient, verdict, 1)
		return nil, verdict
	}
	if !f.answered {
		t.unanswered.remove(f)
	}
	return payload, route.Forwarded
}

// room takes a place for f, if need be that of the oldest that was never answered. Answered
// flows always live on. Where there is one, it is to be given back.
func (t *table) room(f *flow, now time.Duration) bool {
	if !t.may.take() && !(t.evict(crowd{}, now) && t.may.take()) {
		return false
	}
	if f.owns() && !t.mayOwn.take() && !(t.evict(crowd{scope: owning}, now) && t.mayOwn.take()) {
		t.may.give()
		return false
	}
	return true
}

// giveRoom gives back f's place.
func (t *table) giveRoom(f *flow) {
	t.may.give()
	if f.owns() {
		t.mayOwn.give()
	}
}

// evict ends the oldest flow of a crowd that was never answered, if there is one.
func (t *table) evict(from crowd, now time.Duration) bool {
	oldest := t.unanswered.oldest(from)
	if oldest == nil {
		return false
	}
	t.end(oldest, route.Evicted, now)
	return true
}

// expire ends the flows whose time has come.
func (t *table) expire(now time.Duration) {
	for len(t.byDue) > 0 && t.byDue[0].due <= now {
		f := t.byDue[0]
		at, verdict := f.end()
		if at <= now {
			t.end(f, verdict, now)
			continue
		}
		f.due = at // there was a datagram since due was set
		heap.Fix(&t.byDue, 0)
	}
}

// next is when expire has something to do; not ok where no flow lives.
func (t *table) next() (due time.Duration, ok bool) {
	if len(t.byDue) == 0 {
		return 0, false
	}
	return t.byDue[0].due, true
}

// end is the end of every flow, whatever brought it.
func (t *table) end(f *flow, verdict route.Verdict, now time.Duration) {
	t.remove(f)
	f.counters.End(config.UDP, verdict)
	t.log(route.Record{
		Begun: t.epoch.Add(f.begun), Took: now - f.begun, Protocol: config.UDP, Route: f.route.Name,
		Client: f.client(), Dst: f.dst(), Origin: f.originAddr(),
		ToOrigin: f.toOrigin, ToClient: f.toClient, Verdict: verdict,
	})
}

// remove takes f out of the table, and gives back all that it holds.
func (t *table) remove(f *flow) {
	t.sockets.hangUp(f)
	t.replies.release(f.reply)
	delete(t.flows, f.key)
	t.giveRoom(f)
	heap.Remove(&t.byDue, int(f.position))
	if !f.answered {
		t.unanswered.remove(f)
	}
	f.origin.End()
	f.route.Release(config.UDP, f.client().Addr())
}

func (t *table) log(r route.Record) {
	if t.record != nil {
		t.record(r)
	}
}

// endAll ends every flow at once.
func (t *table) endAll(verdict route.Verdict, now time.Duration) {
	for _, f := range t.flows {
		t.end(f, verdict, now)
	}
}

// dueOrder is a heap of flows by due.
type dueOrder []*flow

func (d dueOrder) Len() int           { return len(d) }
func (d dueOrder) Less(i, j int) bool { return d[i].due < d[j].due }
func (d dueOrder) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].position, d[j].position = int32(i), int32(j)
}
func (d *dueOrder) Push(f any) {
	f.(*flow).position = int32(len(*d))
	*d = append(*d, f.(*flow))
}
func (d *dueOrder) Pop() any {
	old := *d
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	return f
}
