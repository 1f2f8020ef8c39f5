package flow_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

func TestFlowIsClientAndDst(t *testing.T) {
	f := newTestLoop(10, live(to(originAddr), dst1, dst2))
	seen := map[*testFlow]flow.Key{}
	for range 2 { // the second datagram of each finds what the first began
		for _, client := range []netip.AddrPort{client1, client2} {
			for _, dst := range []netip.AddrPort{dst1, dst2} {
				k := flow.KeyOf(client, dst)
				got, verdict := f.datagram(k, 1, 1)
				if verdict != route.Forwarded {
					t.Fatalf("%v → %v: %v", client, dst, verdict)
				}
				if got.Client() != client || got.Dst() != dst {
					t.Fatalf("%v → %v met the flow %v → %v", client, dst, got.Client(), got.Dst())
				}
				seen[got] = k
			}
		}
	}
	if len(seen) != 4 || f.Len() != 4 {
		t.Errorf("two clients and two dsts met %d flows, the table has %d, want 4", len(seen), f.Len())
	}
}

// noFlow lists datagrams that begin no flow.
var noFlow = []struct {
	name        string
	route       config.Route // what differs from an open route to originAddr
	client, dst netip.AddrPort
	before      []flow.Key      // datagrams that come first
	prepare     func(*testLoop) // what happens then
	want        route.Verdict
	lost        []route.Verdict // flows that ended for it
}{
	{name: "no route", client: client1, dst: dst2, want: route.NoRoute},
	{name: "from port 0", client: netip.AddrPortFrom(client1.Addr(), 0), dst: dst1, want: route.PortZero},
	{name: "to port 0", client: client1, dst: netip.AddrPortFrom(dst1.Addr(), 0), want: route.PortZero},
	{name: "from the port of a server that answers anything", client: netip.AddrPortFrom(client1.Addr(), 7), dst: dst1, want: route.Responder},
	{name: "from where another flow is answered", client: dst1, dst: dst1, before: []flow.Key{flow.KeyOf(client2, dst1)}, want: route.Looped},
	{name: "denied", route: config.Route{Deny: []netip.Prefix{netip.PrefixFrom(client1.Addr(), 32)}},
		client: client1, dst: dst1, want: route.Denied},
	{name: "route full", route: config.Route{MaxFlows: 1},
		client: client1, dst: dst1, before: []flow.Key{flow.KeyOf(client2, dst1)}, prepare: validateAll, want: route.OverMaxFlows},
	{name: "route full of conns and flows", route: config.Route{MaxConns: 1},
		client: client1, dst: dst1, before: []flow.Key{flow.KeyOf(client2, dst1)}, prepare: validateAll, want: route.OverMaxConns},
	{name: "client full", route: config.Route{MaxConnsPerClient: 1},
		client: client1, dst: dst1, before: []flow.Key{flow.KeyOf(netip.AddrPortFrom(client1.Addr(), 4001), dst1)},
		prepare: validateAll, want: route.OverMaxPerClient},
	{name: "client full in all", client: client1, dst: dst1, before: many(client1, 10), prepare: validateAll, want: route.OverClientFlows},
	{name: "client full in the route", route: config.Route{MaxFlowsPerClient: 1},
		client: client1, dst: dst1, before: many(client1, 1), prepare: validateAll, want: route.OverClientFlows},
	{name: "client denied, and full", route: config.Route{MaxFlowsPerClient: 1},
		client: client1, dst: dst1, before: many(client1, 1), prepare: denyAll, want: route.Denied},
	{name: "no origin takes flows", route: config.Route{Origins: []config.Origin{{Text: "drained"}}},
		client: client1, dst: dst1, want: route.NoOrigin},
	{name: "draining", client: client1, dst: dst1, prepare: func(f *testLoop) { f.Drain(1) }, want: route.Draining},
	{name: "origin unreachable", client: client1, dst: dst1, prepare: dialFails(route.ConnectFailed), want: route.ConnectFailed},
	{name: "out of files", client: client1, dst: dst1, prepare: dialFails(route.OutOfFiles), want: route.OutOfFiles},
	{name: "out of files, with one to give", client: client1, dst: dst1, before: []flow.Key{flow.KeyOf(client2, dst1)},
		prepare: dialFails(route.OutOfFiles), want: route.OutOfFiles, lost: []route.Verdict{route.Evicted}},
	{name: "out of ports, with a flow to give", client: client1, dst: dst1, before: []flow.Key{flow.KeyOf(client2, dst1)},
		prepare: dialFails(route.OutOfPorts), want: route.OutOfPorts, lost: []route.Verdict{route.Evicted}},
	{name: "no way to answer", client: client1, dst: dst1, prepare: bindFails, want: route.RelayFailed},
}

func dialFails(v route.Verdict) func(*testLoop) {
	return func(f *testLoop) { f.dialFails = map[netip.AddrPort]route.Verdict{originAddr: v} }
}

// validateAll has every client show that it receives replies.
func validateAll(l *testLoop) {
	for f := range l.All {
		for range flow.ExchangesToValidate {
			l.FromOrigin(f, nil, 1)
			l.FromClient(f, 0, 1)
		}
	}
}

// denyAll puts a generation of routes into service that denies all clients.
func denyAll(f *testLoop) {
	r := *f.routes.Set().Routes[0].Route
	r.Deny = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	f.routes.Swap(routes{dst1: &r}, []*config.Route{&r})
}

// many are keys of one client, from other ports than its first.
func many(client netip.AddrPort, n int) (keys []flow.Key) {
	for i := range n {
		keys = append(keys, flow.KeyOf(netip.AddrPortFrom(client.Addr(), client.Port()+1+uint16(i)), dst1))
	}
	return keys
}

func bindFails(f *testLoop) { f.replyFails = route.RelayFailed }

func TestNoFlow(t *testing.T) {
	for _, test := range noFlow {
		t.Run(test.name, func(t *testing.T) {
			r := test.route
			if r.Origins == nil {
				r.Origins = to(originAddr).Origins
			}
			r.UDPIdle, r.ProxyProtocol = time.Hour, config.ProxyOff
			f := newTestLoop(10, live(&r, dst1))
			for _, k := range test.before {
				if _, verdict := f.datagram(k, 1, 1); verdict != route.Forwarded {
					t.Fatalf("the first datagrams: %v", verdict)
				}
			}
			if test.prepare != nil {
				test.prepare(f)
			}
			if got, verdict := f.datagram(flow.KeyOf(test.client, test.dst), 1, 2); got != nil || verdict != test.want {
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

// checkCounted checks that one datagram is counted with the verdict, at the route or at none.
func checkCounted(t *testing.T, f *testLoop, want route.Verdict) {
	t.Helper()
	stats := f.routes.Set().Routes[0].Stats
	if n := stats.Totals().Datagrams[route.ToOrigin][want] + f.routes.Unrouted.Totals().Datagrams[route.ToOrigin][want]; n != 1 {
		t.Errorf("%d datagrams counted as %v, want 1", n, want)
	}
}

func TestNextOriginWhereDialFails(t *testing.T) {
	f := newTestLoop(10, live(to(originAddr, backupAddr), dst1))
	dialFails(route.ConnectFailed)(f)
	got, verdict := f.datagram(flow.KeyOf(client1, dst1), 1, 1)
	if verdict != route.Forwarded || got.OriginAddr() != backupAddr {
		t.Fatalf("%v, want a flow to %v", verdict, backupAddr)
	}
}

// TestClientBoundLowered: after a reload that lowers max_flows_per_client, each new flow of a
// client that has more is refused and ends one of the old ones, until they are few enough.
func TestClientBoundLowered(t *testing.T) {
	r := to(originAddr)
	r.MaxFlowsPerClient = 4
	f, keys := newTestLoop(10, live(r, dst1)), many(client1, 4)
	for _, k := range keys {
		f.datagram(k, 1, 1)
	}
	lowered := *r
	lowered.MaxFlowsPerClient = 2
	f.routes.Swap(routes{dst1: &lowered}, []*config.Route{&lowered})
	for i, want := range []route.Verdict{route.OverClientFlows, route.OverClientFlows, route.Forwarded} {
		if _, got := f.datagram(flow.KeyOf(client1, dst1), 1, 2); got != want || f.Find(keys[i]) != nil {
			t.Errorf("attempt %d: %v, want %v, and the oldest flow ended", i+1, got, want)
		}
	}
	if f.Len() != 2 {
		t.Errorf("%d flows are left, want 2", f.Len())
	}
}

// TestSocketBound: flows without a socket do not count against the bound of those with
// one, nor give way to them.
func TestSocketBound(t *testing.T) {
	own, none := to(originAddr), to(originAddr)
	none.EgressPrefixes = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")}
	none.Name = "none"
	l := route.NewLive(1)
	l.Swap(routes{dst1: own, dst2: none}, []*config.Route{own, none})
	f := newTestLoop(4, l, func(opt *flow.Options) { opt.Limits.Sockets = flow.SocketQuota{Ports: flow.Divide(1, 1)[0]} })
	sockets := f.limits.Sockets.Ports
	begin := func(client netip.AddrPort, dst netip.AddrPort, want route.Verdict) {
		t.Helper()
		if _, got := f.datagram(flow.KeyOf(client, dst), 1, 1); got != want {
			t.Fatalf("%v → %v: %v, want %v", client, dst, got, want)
		}
	}
	begin(client1, dst2, route.Forwarded)
	begin(client1, dst1, route.Forwarded)
	begin(client2, dst2, route.Forwarded)
	begin(client2, dst1, route.Forwarded) // in the place of client1's
	if f.Find(flow.KeyOf(client1, dst1)) != nil || f.Len() != 3 || sockets.Held() != 1 {
		t.Errorf("%d flows, %d with a socket; want 3, and that of %v ended", f.Len(), sockets.Held(), client1)
	}
	validateAll(f)
	begin(client1, dst1, route.OverMaxFlows)
	begin(netip.AddrPortFrom(client1.Addr(), 4001), dst2, route.Forwarded)
	f.endAll(route.IdleTimedOut, 2)
	_, clients, _ := f.Held()
	if sockets.Held() != 0 || f.limits.Flows.Held() != 0 || clients != 0 {
		t.Errorf("%d with a socket and %d clients are left", sockets.Held(), clients)
	}
}
