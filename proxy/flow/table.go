package flow

import (
	"container/heap"
	"log/slog"
	"net/netip"
	"time"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// Options are what a Table needs.
type Options struct {
	Routes   *route.Live
	Shard    int // of the counters
	Limits   Limits
	Budgets  *Budgets
	Replies  *ReplyAddrs
	Patience time.Duration // how long a flow may wait for its first reply before it is evicted for another of its client
	Epoch    time.Time     // the zero of all times here
	Log      *slog.Logger
}

// Table is the flows of one loop. The loop calls it, and it never calls the loop: what the loop has
// to do is in the results.
type Table[S any] struct {
	opt Options
	ids route.IDs

	flows     index[S]
	deadlines deadlines[S] // all flows
	fast      int          // those with an entry of the kernel
	evictions evictionOrders[S]
	naming    namingPeers
	set       *route.Set       // the generation of routes last seen
	recording *route.Recording // last seen
	draining  bool             // no new flows are taken
	reloading Listing[S]       // flows that Reload has still to look at
	overs     uint64           // Routes.Overs when HoursOver last looked
}

// NewTable makes an empty table.
func NewTable[S any](opt Options) *Table[S] {
	return &Table[S]{
		opt:       opt,
		ids:       route.NewIDs(),
		flows:     newIndex[S](),
		evictions: evictionOrders[S]{ofRoute: map[*route.Stats]*evictionOrder[S]{}},
		naming:    namingPeers{},
		set:       opt.Routes.Set(),
		recording: opt.Routes.Recording(),
	}
}

// Find returns the flow of k, or nil.
func (t *Table[S]) Find(k Key) *Flow[S] {
	f, _ := t.flows.find(k)
	return f
}

// has reports whether f is in the table: it costs less than Find.
func (t *Table[S]) has(f *Flow[S]) bool {
	at := int(f.position)
	return at < len(t.deadlines) && t.deadlines[at] == f
}

// Len is the number of flows.
func (t *Table[S]) Len() int { return len(t.flows.flows) }

// FindBySPP returns the flow that the SPP header of a datagram names, if the datagram is one between
// the flow and its origin, from or to peer; else nil.
func (t *Table[S]) FindBySPP(b []byte, peer netip.AddrPort) *Flow[S] {
	client, dst, _, err := header.ParseSPP(b)
	if err != nil {
		return nil
	}
	f := t.Find(KeyOf(client, dst))
	if f == nil || peer != f.OriginAddr() {
		return nil
	}
	return f
}

// FromClient decides on n bytes of payload from f's client. What is not forwarded is counted here;
// what is, once it is sent (Settle).
func (t *Table[S]) FromClient(f *Flow[S], n int, now time.Duration) route.Verdict {
	verdict := f.fromClient(n, now)
	if verdict != route.Forwarded {
		f.Counters.Datagrams(route.ToOrigin, verdict, 1)
	}
	if f.stage == Answered && f.validation.done() {
		t.evictions.validated(f)
	}
	return verdict
}

// FromOrigin decides on a datagram of f's origin, and returns the part of it that is for the
// client. What is not forwarded is counted here; what is, once it is sent (Settle).
func (t *Table[S]) FromOrigin(f *Flow[S], reply []byte, now time.Duration) ([]byte, route.Verdict) {
	payload, verdict := f.fromOrigin(reply, t.opt.Budgets, now)
	if verdict != route.Forwarded {
		f.Counters.Datagrams(route.ToClient, verdict, 1)
		if verdict == route.Amplified {
			t.holdBack(f, len(payload))
		}
		return nil, verdict
	}
	if f.stage == Unanswered {
		t.evictions.answered(f)
	}
	t.noteAnswer(f, now)
	return payload, route.Forwarded
}

// holdBack counts a reply that its client is not sent, and logs the first of a route.
func (t *Table[S]) holdBack(f *Flow[S], bytes int) {
	f.Counters.HeldBack(bytes)
	if f.Route.FirstHeldBack() {
		t.opt.Log.Warn("answers are held back: the client has not shown that it is there, and amplification_budget is used up",
			"route", f.Route.Name, "client", f.Client(), "dst", f.Dst(), "bytes", bytes, "budget", f.Route.AmplificationBudget,
			"hint", `raise amplification_budget, or set anti_amplification = false where no source is forged; see "Forged UDP sources" in docs/explanation/abuse.md`)
	}
}

// Insert puts a flow that was admitted, and has its sockets, into the table.
func (t *Table[S]) Insert(f *Flow[S]) {
	f.Route.CountArrival(t.opt.Shard, config.UDP)
	f.Origin.Begin()
	t.insert(f)
	t.trace(f, route.StepAccepted, origin.Failure{})
}

// insert is the part of Insert for flows that have arrived in another process, too.
func (t *Table[S]) insert(f *Flow[S]) {
	t.evictions.add(f)
	t.flows.add(f)
	t.naming.add(f.Key, f.Route)
	f.deadline = t.nextLook(f, f.last)
	heap.Push(&t.deadlines, f)
}

// End removes a flow, whatever ended it, and counts and records it. The loop has closed its sockets
// before, so that what they took of the quotas is free once it is given back here. source is what it left
// from, if WantsRecord has asked for it.
func (t *Table[S]) End(f *Flow[S], source netip.AddrPort, verdict route.Verdict, now time.Duration) {
	t.Remove(f)
	f.Route.CountEnd(t.opt.Shard, config.UDP, verdict)
	f.Counters.Served(config.UDP, now-f.begun)
	f.Origin.Served(now - f.begun)
	recording, trace := t.opt.Routes.Recording(), t.opt.Routes.Trace()
	recorded := f.wanted(recording, verdict)
	if !recorded && trace == nil {
		return
	}
	ended := t.recordOf(f, source, verdict, now)
	if recorded {
		recording.To(ended)
	}
	if trace != nil {
		trace(route.Traced{At: time.Now(), Step: route.StepEnded, Record: ended})
	}
}

// Remove is End for a flow that goes on in another process, which will count and record it.
func (t *Table[S]) Remove(f *Flow[S]) {
	t.flows.remove(f.Key)
	t.naming.remove(f.Key)
	t.giveBack(f)
	heap.Remove(&t.deadlines, int(f.position))
	t.evictions.remove(f)
	f.Origin.End()
	f.Route.Release(config.UDP, f.Client().Addr())
}

// All yields all flows, each of which may be ended meanwhile.
func (t *Table[S]) All(yield func(*Flow[S]) bool) {
	for _, f := range t.flows.flows {
		if !yield(f) {
			return
		}
	}
}
