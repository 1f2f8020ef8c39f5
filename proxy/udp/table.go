package udp

import (
	"container/heap"
	"log/slog"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/quota"
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
	may     *quota.Quota // flows
	mayOwn  socketQuota  // those of them with a socket of their own
	budgets *budgets

	mostPerClient [kinds]int    // max_flows_per_client of the routes that say 0
	patience      time.Duration // how long a flow may wait for its first answer before it gives way to another of its client

	sockets sockets
	replies *replies
	record  func(route.Record)
	report  func(now time.Duration, text string, args ...any) // a fault, for the log
	warn    func(text string, args ...any)                    // the same, for what comes seldom
	say     func(level slog.Level, text string, args ...any)  // news of an origin
	epoch   time.Time                                         // the zero of all times here

	flows    map[key]*flow
	byDue    dueOrder
	crowds   crowds
	set      *route.Set // the generation last seen
	draining bool
	dials    uint32 // counts sockets of flows, for their generation
}

func (t *table) init() {
	t.flows = map[key]*flow{}
	t.crowds.ofRoute = map[*route.Stats]*crowd{}
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
	if f.stage == answered && f.turns.shown() {
		t.crowds.shown(f)
	}
	return verdict
}

// answer decides on a datagram of f's origin, and returns what of it is for the
// client. What is not forwarded is counted here.
func (t *table) answer(f *flow, reply []byte, now time.Duration) ([]byte, route.Verdict) {
	payload, verdict := f.fromOrigin(reply, t.budgets, now)
	if verdict != route.Forwarded {
		f.counters.Datagrams(route.ToClient, verdict, 1)
		if verdict == route.Amplified {
			t.holdBack(f, len(payload))
		}
		return nil, verdict
	}
	if f.stage == unanswered {
		t.crowds.answered(f)
	}
	t.originAnswers(f)
	return payload, route.Forwarded
}

// holdBack counts an answer that its client is not sent, and says so once.
func (t *table) holdBack(f *flow, bytes int) {
	f.counters.HeldBack(bytes)
	if f.route.FirstHeldBack() {
		t.warn("answers are held back: the client has not shown that it is there, and amplification_budget is used up",
			"route", f.route.Name, "client", f.client(), "dst", f.dst(), "bytes", bytes, "budget", f.route.AmplificationBudget,
			"hint", `raise amplification_budget, or set anti_amplification = false where no source is forged; see "Forged UDP sources" in docs/OPERATING.md`)
	}
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
	t.crowds.leave(f)
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
