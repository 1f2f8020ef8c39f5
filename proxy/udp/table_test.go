package udp

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/quota"
	"anyport/proxy/route"
)

// fakeSockets opens nothing, and fails where it is told to.
type fakeSockets struct {
	fails map[netip.AddrPort]error
	open  int
}

func (s *fakeSockets) dial(_ *flow, to netip.AddrPort) error {
	if err := s.fails[to]; err != nil {
		return err
	}
	s.open++
	return nil
}

func (s *fakeSockets) take(f *flow, fd int) error {
	f.fd = fd
	s.open++
	return nil
}

func (s *fakeSockets) hangUp(*flow) { s.open-- }

// fakeTable is a table without a kernel, and what it wrote down.
type fakeTable struct {
	table
	kernel   fakeSockets
	records  []route.Record
	reported []string
	warned   []string
}

func newFakeTable(most int, l *route.Live) *fakeTable {
	f := &fakeTable{}
	f.table = table{
		routes: l, may: shareOut(most, 1)[0], mayOwn: socketQuota{ports: shareOut(most, 1)[0]}, sockets: &f.kernel,
		replies: newReplies(quota.New(100, quota.NewPool(0)), &voices{}, func(netip.AddrPort) (datagram.ReplySocket, error) { return datagram.ReplySocket{}, nil }, func(int) {}),
		record:  func(r route.Record) { f.records = append(f.records, r) },
		budgets: newBudgets(16), mostPerClient: [kinds]int{most, most},
		warn:   func(text string, _ ...any) { f.warned = append(f.warned, text) },
		report: func(_ time.Duration, text string, _ ...any) { f.reported = append(f.reported, text) },
	}
	f.init()
	return f
}

// verdicts are those of the records written since the last call.
func (f *fakeTable) verdicts() (vs []route.Verdict) {
	for _, r := range f.records {
		vs = append(vs, r.Verdict)
	}
	f.records = nil
	return vs
}

var (
	originAddr = netip.MustParseAddrPort("10.0.0.5:9000")
	backupAddr = netip.MustParseAddrPort("10.0.0.6:9000")
	dst1       = netip.MustParseAddrPort("192.0.2.1:53")
	dst2       = netip.MustParseAddrPort("192.0.2.2:53")
	dst6       = netip.MustParseAddrPort("[2001:db8::1]:53")
	client1    = netip.MustParseAddrPort("198.51.100.1:4000")
	client2    = netip.MustParseAddrPort("198.51.100.2:4000")
	client6    = netip.MustParseAddrPort("[2001:db8:9::1]:4000")
)

func keyOf(client, dst netip.AddrPort) key {
	return key{datagram.EndpointOf(client), datagram.EndpointOf(dst)}
}

func TestFlowIsClientAndDst(t *testing.T) {
	f := newFakeTable(10, live(to(originAddr), dst1, dst2))
	seen := map[*flow]key{}
	for range 2 { // the second datagram of each finds what the first began
		for _, client := range []netip.AddrPort{client1, client2} {
			for _, dst := range []netip.AddrPort{dst1, dst2} {
				k := keyOf(client, dst)
				got, verdict := f.datagram(k, 1, 1)
				if verdict != route.Forwarded {
					t.Fatalf("%v → %v: %v", client, dst, verdict)
				}
				if got.client() != client || got.dst() != dst {
					t.Fatalf("%v → %v met the flow %v → %v", client, dst, got.client(), got.dst())
				}
				seen[got] = k
			}
		}
	}
	if len(seen) != 4 || len(f.flows) != 4 {
		t.Errorf("two clients and two dsts met %d flows, the table has %d, want 4", len(seen), len(f.flows))
	}
}

// noFlow lists datagrams that begin no flow.
var noFlow = []struct {
	name        string
	route       config.Route // what differs from an open route to originAddr
	client, dst netip.AddrPort
	before      []key            // datagrams that come first
	prepare     func(*fakeTable) // what happens then
	want        route.Verdict
	lost        []route.Verdict // flows that ended for it
}{
	{name: "no route", client: client1, dst: dst2, want: route.NoRoute},
	{name: "from port 0", client: netip.AddrPortFrom(client1.Addr(), 0), dst: dst1, want: route.PortZero},
	{name: "to port 0", client: client1, dst: netip.AddrPortFrom(dst1.Addr(), 0), want: route.PortZero},
	{name: "from the port of a server that answers anything", client: netip.AddrPortFrom(client1.Addr(), 7), dst: dst1, want: route.Responder},
	{name: "from where another flow is answered", client: dst1, dst: dst1, before: []key{keyOf(client2, dst1)}, want: route.Looped},
	{name: "denied", route: config.Route{Deny: []netip.Prefix{netip.PrefixFrom(client1.Addr(), 32)}},
		client: client1, dst: dst1, want: route.Denied},
	{name: "route full", route: config.Route{MaxFlows: 1},
		client: client1, dst: dst1, before: []key{keyOf(client2, dst1)}, prepare: showAll, want: route.OverMaxFlows},
	{name: "route full of conns and flows", route: config.Route{MaxConns: 1},
		client: client1, dst: dst1, before: []key{keyOf(client2, dst1)}, prepare: showAll, want: route.OverMaxConns},
	{name: "client full", route: config.Route{MaxConnsPerClient: 1},
		client: client1, dst: dst1, before: []key{keyOf(netip.AddrPortFrom(client1.Addr(), 4001), dst1)},
		prepare: showAll, want: route.OverMaxPerClient},
	{name: "client full in all", client: client1, dst: dst1, before: many(client1, 10), prepare: showAll, want: route.OverClientFlows},
	{name: "client full in the route", route: config.Route{MaxFlowsPerClient: 1},
		client: client1, dst: dst1, before: many(client1, 1), prepare: showAll, want: route.OverClientFlows},
	{name: "client denied, and full", route: config.Route{MaxFlowsPerClient: 1},
		client: client1, dst: dst1, before: many(client1, 1), prepare: denyAll, want: route.Denied},
	{name: "no origin takes flows", route: config.Route{Origins: []config.Origin{{Text: "drained"}}},
		client: client1, dst: dst1, want: route.NoOrigin},
	{name: "draining", client: client1, dst: dst1, prepare: func(f *fakeTable) { f.drain(1) }, want: route.Draining},
	{name: "origin unreachable", client: client1, dst: dst1, prepare: dialFails(unix.ENETUNREACH), want: route.ConnectFailed},
	{name: "out of files", client: client1, dst: dst1, prepare: dialFails(unix.EMFILE), want: route.OutOfFiles},
	{name: "out of files, with one to give", client: client1, dst: dst1, before: []key{keyOf(client2, dst1)},
		prepare: dialFails(unix.EMFILE), want: route.OutOfFiles, lost: []route.Verdict{route.Evicted}},
	{name: "out of ports, with a flow to give", client: client1, dst: dst1, before: []key{keyOf(client2, dst1)},
		prepare: dialFails(fmt.Errorf("connecting: %w", call.ErrNoPort)), want: route.OutOfPorts, lost: []route.Verdict{route.Evicted}},
	{name: "no way to answer", client: client1, dst: dst1, prepare: bindFails, want: route.RelayFailed},
}

func dialFails(err error) func(*fakeTable) {
	return func(f *fakeTable) { f.kernel.fails = map[netip.AddrPort]error{originAddr: err} }
}

// showAll has every client show that it is there.
func showAll(f *fakeTable) {
	for _, flow := range f.flows {
		for range turnsToShow {
			f.answer(flow, nil, 1)
			f.request(flow, 0, 1)
		}
	}
}

// denyAll puts a generation into service that admits nobody.
func denyAll(f *fakeTable) {
	r := *f.routes.Set().Routes[0].Route
	r.Deny = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	f.routes.Swap(routes{dst1: &r}, []*config.Route{&r})
}

// many are keys of one client, from other ports than its first.
func many(client netip.AddrPort, n int) (keys []key) {
	for i := range n {
		keys = append(keys, keyOf(netip.AddrPortFrom(client.Addr(), client.Port()+1+uint16(i)), dst1))
	}
	return keys
}

func bindFails(f *fakeTable) {
	f.replies.open = func(netip.AddrPort) (datagram.ReplySocket, error) { return datagram.ReplySocket{}, unix.EADDRINUSE }
}

func TestNoFlow(t *testing.T) {
	for _, test := range noFlow {
		t.Run(test.name, func(t *testing.T) {
			r := test.route
			if r.Origins == nil {
				r.Origins = to(originAddr).Origins
			}
			r.UDPIdle, r.ProxyProtocol = time.Hour, config.ProxyOff
			f := newFakeTable(10, live(&r, dst1))
			for _, k := range test.before {
				if _, verdict := f.datagram(k, 1, 1); verdict != route.Forwarded {
					t.Fatalf("the first datagrams: %v", verdict)
				}
			}
			if test.prepare != nil {
				test.prepare(f)
			}
			if got, verdict := f.datagram(keyOf(test.client, test.dst), 1, 2); got != nil || verdict != test.want {
				t.Fatalf("got flow %v, %v; want none, %v", got, verdict, test.want)
			}
			want := test.lost
			if test.want != route.PortZero {
				want = append(want, test.want)
			}
			if diff := cmp.Diff(want, f.verdicts()); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			checkCounted(t, f, test.want)
			f.endAll(route.IdleTimedOut, 3)
			checkNothingLeft(t, f)
		})
	}
}

// checkCounted wants one datagram with the verdict, at the route or beside all routes.
func checkCounted(t *testing.T, f *fakeTable, want route.Verdict) {
	t.Helper()
	stats := f.routes.Set().Routes[0].Stats
	if n := stats.Totals().Datagrams[route.ToOrigin][want] + f.routes.Unrouted.Totals().Datagrams[route.ToOrigin][want]; n != 1 {
		t.Errorf("%d datagrams counted as %v, want 1", n, want)
	}
}

// checkNothingLeft wants every count of live things back at none.
func checkNothingLeft(t *testing.T, f *fakeTable) {
	t.Helper()
	r := f.routes.Set().Routes[0]
	left := []int{len(f.flows), len(f.byDue), len(f.crowds.kinds[owning].members) + len(f.crowds.kinds[sharing].members) + len(f.crowds.ofRoute), len(f.replies.held), f.replies.recent.Len(),
		f.kernel.open, len(f.replies.voices.loops), int(r.Stats.Active(config.UDP)), int(r.Origins.Origins[0].Active())}
	if !slices.Equal(left, make([]int, len(left))) {
		t.Errorf("flows, due, crowds, replies, reply sockets, origin sockets, dsts answered from, active, active at the origin: %v left", left)
	}
}

func TestNextOriginWhereDialFails(t *testing.T) {
	f := newFakeTable(10, live(to(originAddr, backupAddr), dst1))
	f.kernel.fails = map[netip.AddrPort]error{originAddr: unix.ENETUNREACH}
	got, verdict := f.datagram(keyOf(client1, dst1), 1, 1)
	if verdict != route.Forwarded || got.originAddr() != backupAddr {
		t.Fatalf("%v, want a flow to %v", verdict, backupAddr)
	}
	if len(f.reported) != 1 {
		t.Errorf("logged %q, want the origin that failed", f.reported)
	}
}

// TestClientBoundLowered: after a reload that lowers max_flows_per_client, each new flow of a
// client that has more is refused and ends one of the old ones, until they are few enough.
func TestClientBoundLowered(t *testing.T) {
	r := to(originAddr)
	r.MaxFlowsPerClient = 4
	f, keys := newFakeTable(10, live(r, dst1)), many(client1, 4)
	for _, k := range keys {
		f.datagram(k, 1, 1)
	}
	lowered := *r
	lowered.MaxFlowsPerClient = 2
	f.routes.Swap(routes{dst1: &lowered}, []*config.Route{&lowered})
	for i, want := range []route.Verdict{route.OverClientFlows, route.OverClientFlows, route.Forwarded} {
		if _, got := f.datagram(keyOf(client1, dst1), 1, 2); got != want || f.flows[keys[i]] != nil {
			t.Errorf("attempt %d: %v, want %v, and the oldest flow gone", i+1, got, want)
		}
	}
	if len(f.flows) != 2 {
		t.Errorf("%d flows are left, want 2", len(f.flows))
	}
}
