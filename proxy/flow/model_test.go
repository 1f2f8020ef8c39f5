package flow_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
	"anyport/proxy/client"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// model is the table as one would write it without regard to speed. Its flows are
// those of three routes, one a dst, with bounds of their own:
//
//	one    max_flows
//	two    max_conns_per_client
//	three  max_flows_per_client, and spp: no socket a flow
type model struct {
	all, sockets             int
	ofOne, ofTwo, ofThree    int
	clientOwns, clientShares int // max_flows_per_client of the routes that say 0, by kind
	idle                     time.Duration

	flows   []modelFlow    // oldest first
	step    int            // counts changes
	changed map[string]int // eviction order and member → when the number of its answered flows last changed
}

type modelFlow struct {
	key         flow.Key
	begun, last time.Duration
	stage       flow.Stage
	answered    int // when it was
	exchanges   int
	originLast  bool // the origin has sent last, and the exchange counts with the client's next datagram
}

func (f *modelFlow) clientSent() {
	if f.originLast {
		f.exchanges, f.originLast = f.exchanges+1, false
	}
}

func (f *modelFlow) originSent() { f.originLast = f.exchanges < flow.ExchangesToValidate }

// modelDst is a dst of one of the routes, in a client's family.
func modelDst(client netip.Addr, route int) netip.AddrPort {
	port := uint16(53 + route)
	if client.Is4() {
		return netip.AddrPortFrom(dst1.Addr(), port)
	}
	return netip.AddrPortFrom(dst6.Addr(), port)
}

func (f *modelFlow) route() int { return int(f.key.Dst.Port) - 53 }

func (f *modelFlow) owns() bool { return f.route() != 2 }

func (f *modelFlow) client() string { return client.Of(f.key.Client.AddrPort().Addr()).String() }

// member is the client that f counts for among all flows.
func (f *modelFlow) member() string {
	if f.route() == 2 {
		return f.client() + " to three"
	}
	return f.client()
}

// modelBound is one that a new flow meets.
type modelBound struct {
	most    int
	verdict route.Verdict
	in      func(*modelFlow) bool
	name    func(*modelFlow) string // the eviction order and member that a flow counts for
}

func (f *modelFlow) inKind() string  { return fmt.Sprint("owns ", f.owns(), " ", f.member()) }
func (f *modelFlow) inRoute() string { return fmt.Sprint("route ", f.route(), " ", f.client()) }

// bounds are those that a new flow meets, in order.
func (m *model) bounds(n *modelFlow) []modelBound {
	sameMember := func(f *modelFlow) bool { return f.inKind() == n.inKind() }
	sameRoute := func(f *modelFlow) bool { return f.route() == n.route() }
	sameBoth := func(f *modelFlow) bool { return f.inRoute() == n.inRoute() }
	everybody := func(*modelFlow) bool { return true }
	inKind, inRoute := (*modelFlow).inKind, (*modelFlow).inRoute
	all := modelBound{m.all, route.OverMaxFlows, everybody, inKind}
	owning := modelBound{m.sockets, route.OverMaxFlows, (*modelFlow).owns, inKind}
	switch n.route() {
	case 0:
		return []modelBound{{m.clientOwns, route.OverClientFlows, sameMember, inKind}, {m.ofOne, route.OverMaxFlows, sameRoute, inRoute}, all, owning}
	case 1:
		return []modelBound{{m.clientOwns, route.OverClientFlows, sameMember, inKind}, {m.ofTwo, route.OverMaxPerClient, sameBoth, inRoute}, all, owning}
	}
	return []modelBound{{m.ofThree, route.OverClientFlows, sameMember, inKind}, all}
}

func (m *model) find(k flow.Key) int {
	return slices.IndexFunc(m.flows, func(f modelFlow) bool { return f.key == k })
}

// datagram returns the verdict, and who ended for it.
func (m *model) datagram(k flow.Key, now time.Duration) (v route.Verdict, ended []flow.Key) {
	if i := m.find(k); i >= 0 {
		f := &m.flows[i]
		f.last = now
		if f.clientSent(); f.stage == flow.Answered && f.exchanges == flow.ExchangesToValidate {
			m.touch(f)
			f.stage = flow.Validated
		}
		return route.Forwarded, nil
	}
	n := &modelFlow{key: k, begun: now, last: now}
	for _, bound := range m.bounds(n) {
		if m.count(bound.in) < bound.most {
			continue
		}
		gives := m.gives(n, bound)
		if gives < 0 {
			return bound.verdict, ended
		}
		ended = append(ended, m.flows[gives].key)
		m.end(gives)
	}
	m.flows = append(m.flows, *n)
	return route.Forwarded, ended
}

func (m *model) count(in func(*modelFlow) bool) (n int) {
	for i := range m.flows {
		if in(&m.flows[i]) {
			n++
		}
	}
	return n
}

// gives is the flow that is evicted for n at a bound, or -1.
func (m *model) gives(n *modelFlow, bound modelBound) (gives int) {
	ofClient := bound.verdict == route.OverClientFlows || bound.verdict == route.OverMaxPerClient
	waiting := func(least time.Duration) int {
		return m.first(bound, func(f *modelFlow) bool { return f.stage == flow.Unanswered && n.begun-f.begun >= least }, func(f *modelFlow) (time.Duration, bool) {
			return f.begun, f.owns() != n.owns()
		})
	}
	least := time.Duration(0)
	if ofClient {
		least = modelPatience
	}
	if gives = waiting(least); gives >= 0 {
		return gives
	}
	largest := m.largest(n, bound)
	gives = m.first(bound, func(f *modelFlow) bool { return f.stage == flow.Answered && bound.name(f) == largest }, func(f *modelFlow) (time.Duration, bool) {
		return time.Duration(f.answered), false
	})
	if gives < 0 {
		gives = waiting(0)
	}
	return gives
}

// modelPatience is a few moves of the model.
const modelPatience = 12

// first is the first of those at a bound that are meant, in an order in which others come
// last of equals.
func (m *model) first(bound modelBound, meant func(*modelFlow) bool, order func(*modelFlow) (at time.Duration, other bool)) (first int) {
	first = -1
	for i := range m.flows {
		f := &m.flows[i]
		if !bound.in(f) || !meant(f) {
			continue
		}
		if first < 0 {
			first = i
			continue
		}
		a, aOther := order(&m.flows[first])
		b, bOther := order(f)
		if b < a || a == b && aOther && !bOther {
			first = i
		}
	}
	return first
}

// largest is the member with most answered flows at a bound: the newcomer's, if none has more,
// else one of the newcomer's kind, else the one whose number has not changed for longest.
func (m *model) largest(n *modelFlow, bound modelBound) (name string) {
	held, other := map[string]int{}, map[string]bool{}
	for i := range m.flows {
		if f := &m.flows[i]; bound.in(f) && f.stage == flow.Answered {
			held[bound.name(f)]++
			other[bound.name(f)] = f.owns() != n.owns()
		}
	}
	own := bound.name(n)
	for candidate, has := range held {
		best := held[name]
		switch {
		case name == "", has > best:
			name = candidate
		case has < best || name == own:
		case candidate == own, other[name] && !other[candidate],
			other[name] == other[candidate] && m.changed[candidate] < m.changed[name]:
			name = candidate
		}
	}
	return name
}

// touch notes that the number of answered flows changes where f counts.
func (m *model) touch(f *modelFlow) {
	m.step++
	m.changed[f.inKind()], m.changed[f.inRoute()] = m.step, m.step
}

func (m *model) end(i int) {
	if m.flows[i].stage == flow.Answered {
		m.touch(&m.flows[i])
	}
	m.flows = slices.Delete(m.flows, i, i+1)
}

func (m *model) answer(k flow.Key, now time.Duration) {
	f := &m.flows[m.find(k)]
	f.last = now
	f.originSent()
	if f.stage == flow.Unanswered {
		m.touch(f)
		f.stage, f.answered = flow.Answered, m.step
	}
}

// expire ends flows in the order in which they are found to be due, which means nothing.
func (m *model) expire(now time.Duration) (ended []flow.Key) {
	for i := len(m.flows) - 1; i >= 0; i-- {
		if m.flows[i].last+m.idle <= now {
			ended = append(ended, m.flows[i].key)
			m.end(i)
		}
	}
	return ended
}

// TestTableAgainstModel plays datagrams, replies and the passing of time to the
// table and to the model.
func TestTableAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	for range 40 {
		playAgainstModel(t, random)
	}
}

func playAgainstModel(t *testing.T, random *rand.Rand) {
	upTo := func(n int) int { return 1 + random.IntN(n) }
	m := &model{
		all: upTo(16), sockets: upTo(12), ofOne: upTo(8), ofTwo: upTo(4), ofThree: upTo(6),
		clientOwns: upTo(8), clientShares: 1000, idle: 50, changed: map[string]int{},
	}
	f := newTestLoop(m.all, boundsOf(m), func(opt *flow.Options) {
		opt.Patience = modelPatience
		opt.Limits.Sockets = flow.SocketQuota{Ports: flow.Divide(m.sockets, 1)[0]}
		opt.Limits.PerClient = flow.ClientLimits{WithSocket: m.clientOwns, Without: m.clientShares}
	})
	clients := []netip.Addr{client1.Addr(), client2.Addr(), client6.Addr(), client6.Addr().Next()}
	for now := time.Duration(1); now < 2000; now += time.Duration(random.IntN(4)) {
		addr := clients[random.IntN(4)]
		k := flow.KeyOf(netip.AddrPortFrom(addr, uint16(upTo(5))), modelDst(addr, random.IntN(3)))
		want := m.move(f, k, now, random.IntN(5))
		if got := f.lines(); !slices.Equal(got, want) {
			t.Fatalf("at %d: records\n%s", now, cmp.Diff(want, got))
		}
		checkSame(t, f, m)
	}
	f.endAll(route.IdleTimedOut, 2000)
	checkNothingLeft(t, f)
}

// move plays one thing that happens to both, and returns what has to be written down.
func (m *model) move(f *testLoop, k flow.Key, now time.Duration, what int) (lines []string) {
	switch {
	case what == 0:
		lines = ends(m.expire(now), route.IdleTimedOut)
		f.expire(now)
	case what <= 2:
		verdict, evicted := m.datagram(k, now)
		lines = ends(evicted, route.Evicted)
		if verdict != route.Forwarded {
			lines = append(lines, ends([]flow.Key{k}, verdict)...)
		}
		f.datagram(k, 1, now)
	case m.find(k) < 0:
	case what == 3:
		m.answer(k, now)
		f.reply(f.Find(k), now)
	default: // a conversation, long enough to show the client
		for range flow.ExchangesToValidate {
			m.answer(k, now)
			f.reply(f.Find(k), now)
			m.datagram(k, now)
			f.datagram(k, 1, now)
		}
	}
	slices.Sort(lines)
	return lines
}

// reply is a datagram of f's origin, behind the header that the route wants.
func (l *testLoop) reply(f *testFlow, now time.Duration) {
	header := f.AppendHeader(nil)
	l.FromOrigin(f, append(header, 0), now)
}

// boundsOf puts a route for each dst into service, with the bounds of m.
func boundsOf(m *model) *route.Live {
	one, two, three := to(originAddr), to(originAddr), to(originAddr)
	one.MaxFlows = m.ofOne
	two.Name, two.MaxConnsPerClient = "two", m.ofTwo
	three.Name, three.ProxyProtocol, three.MaxFlowsPerClient = "three", config.ProxySPP, m.ofThree
	all, table := []*config.Route{one, two, three}, routes{}
	for i, r := range all {
		r.UDPIdle, r.AntiAmplification = m.idle, false
		table[modelDst(client1.Addr(), i)], table[modelDst(client6.Addr(), i)] = r, r
	}
	l := route.NewLive(1)
	l.Swap(table, all)
	return l
}

// ends spells the records of some flows, sorted.
func ends(keys []flow.Key, v route.Verdict) (lines []string) {
	for _, k := range keys {
		lines = append(lines, fmt.Sprint(k.Client.AddrPort(), k.Dst.AddrPort(), v))
	}
	slices.Sort(lines)
	return lines
}

// lines spells the records written since the last call, sorted.
func (f *testLoop) lines() (lines []string) {
	for _, r := range f.records {
		lines = append(lines, fmt.Sprint(r.Client, r.Dst, r.Verdict))
	}
	slices.Sort(lines)
	f.records = nil
	return lines
}

func checkSame(t *testing.T, f *testLoop, m *model) {
	t.Helper()
	for i := range m.flows {
		want := &m.flows[i]
		got := f.Find(want.key)
		if got == nil {
			t.Fatalf("%+v of the model is not in the table", want)
		}
		if is := f.Moving(got, f.epoch); got.Stage() != want.stage || is.Turns != want.exchanges || is.Heard != want.originLast {
			t.Fatalf("%+v in the model, %+v in the table", want, is)
		}
	}
	deadlines, clients, _ := f.Held()
	if n := len(m.flows); n != f.Len() || f.open != n || deadlines != n {
		t.Fatalf("%d flows, %d sockets, %d to expire; want %d", f.Len(), f.open, deadlines, n)
	}
	members := map[string]bool{}
	for i := range m.flows {
		members[m.flows[i].inKind()] = true
	}
	if clients != len(members) {
		t.Fatalf("%d clients are held, want %d", clients, len(members))
	}
}
