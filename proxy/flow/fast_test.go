package flow_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"anyport/bpf/fastflow"
	"anyport/config"
	"anyport/config/hours"
	"anyport/proxy/call"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// exchange has the client and the origin of a flow speak in turn.
func (t *testLoop) exchange(k flow.Key, n int, now time.Duration) *testFlow {
	for range n {
		f, _ := t.datagram(k, 100, now)
		if f == nil {
			return nil
		}
		reply := make([]byte, 100)
		if header := f.AppendHeader(nil); f.SharesSocket() {
			reply = append(append([]byte{}, header...), reply...)
		}
		t.FromOrigin(f, reply, now)
	}
	return t.Find(k)
}

func TestFastReason(t *testing.T) {
	origin6 := netip.MustParseAddrPort("[2001:db8:2::5]:9000")
	for _, test := range []struct {
		name   string
		change func(*config.Route)
		rounds int // exchanges
		then   func(*testLoop, *config.Route)
		want   route.FastReason
	}{
		{name: "validated", rounds: 9, want: route.FastForwarded},
		{name: "not validated", rounds: 8, want: route.FastUnvalidated},
		{name: "no answer", rounds: 0, want: route.FastUnanswered},
		{name: "without anti_amplification, three datagrams", change: func(r *config.Route) { r.AntiAmplification = false }, rounds: 2, want: route.FastUnvalidated},
		{name: "without anti_amplification, four datagrams", change: func(r *config.Route) { r.AntiAmplification = false }, rounds: 3, want: route.FastForwarded},
		{name: "off", change: func(r *config.Route) { r.FastPath = config.FastOff }, rounds: 9, want: route.FastOff},
		{name: "counted by the kernel", change: func(r *config.Route) { r.DatagramsPerSecond = 1e6 }, rounds: 9, want: route.FastDatagramLimit},
		{name: "transparent", change: func(r *config.Route) { r.Transparent = true }, rounds: 9, want: route.FastTransparent},
		{name: "behind a door", change: func(r *config.Route) { r.Knock.Steps = []config.KnockStep{config.KnockSPA} }, rounds: 9, want: route.FastKnock},
		{name: "behind a door since a reload", rounds: 9, then: swapTo(func(r *config.Route) { r.Knock.Steps = []config.KnockStep{config.KnockSPA} }), want: route.FastKnock},
		{name: "the stand-in for a service", change: func(r *config.Route) { r.Action = config.Socket }, rounds: 9, want: route.FastService},
		{name: "spp", change: func(r *config.Route) { r.ProxyProtocol = config.ProxySPP }, rounds: 9, want: route.FastForwarded},
		{name: "v2", change: func(r *config.Route) { r.ProxyProtocol = config.ProxyV2 }, rounds: 9, want: route.FastForwarded},
		{name: "v2-first that is not sent", change: func(r *config.Route) { r.ProxyProtocol = config.ProxyV2First }, rounds: 9, want: route.FastHeader},
		{name: "v2-first that is sent", change: func(r *config.Route) { r.ProxyProtocol = config.ProxyV2First }, rounds: 9,
			then: func(l *testLoop, _ *config.Route) {
				l.Find(flow.KeyOf(client1, dst1)).Settle(route.ToOrigin, route.Forwarded, 1, 100)
			}, want: route.FastForwarded},
		{name: "TLVs", change: func(r *config.Route) {
			r.ProxyProtocol, r.ProxyTLVs = config.ProxyV2, []config.ProxyTLV{{Kind: config.TLVUniqueID}}
		}, rounds: 9, want: route.FastHeader},
		{name: "TLVs before a reload", change: func(r *config.Route) {
			r.ProxyProtocol, r.ProxyTLVs = config.ProxyV2, []config.ProxyTLV{{Kind: config.TLVUniqueID}}
		}, rounds: 9, then: swapTo(func(r *config.Route) { r.ProxyTLVs = nil }), want: route.FastHeader},
		{name: "another family", change: func(r *config.Route) { r.Origins[0].Addr = origin6.Addr() }, rounds: 9, want: route.FastFamily},
		{name: "off since a reload", rounds: 9, then: swapTo(func(r *config.Route) { r.FastPath = config.FastOff }), want: route.FastOff},
		{name: "counted since a reload", rounds: 9, then: swapTo(func(r *config.Route) { r.DatagramsPerSecond = 1 }), want: route.FastDatagramLimit},
		{name: "denied since a reload", rounds: 9, then: swapTo(func(r *config.Route) { r.Deny = []netip.Prefix{netip.PrefixFrom(client1.Addr(), 32)} }), want: route.FastNotAdmitted},
		{name: "gone since a reload", rounds: 9, then: func(l *testLoop, _ *config.Route) { l.routes.Swap(routes{}, nil) }, want: route.FastNotAdmitted},
		{name: "drained since a reload", rounds: 9, then: func(l *testLoop, _ *config.Route) {
			l.routes.Swap(routes{}, nil)
			l.reload(1)
		}, want: route.FastDraining},
		{name: "drained by hand", rounds: 9, then: func(l *testLoop, r *config.Route) { l.routes.Drain(r.Name, true) }, want: route.FastDraining},
		{name: "the process drains", rounds: 9, then: func(l *testLoop, _ *config.Route) { l.Drain(1) }, want: route.FastDraining},
		{name: "out of force", rounds: 9, then: func(l *testLoop, r *config.Route) { l.routes.SetInactive(r.Name, true) }, want: route.FastNotAdmitted},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := to(originAddr)
			r.AntiAmplification, r.Drain = true, time.Hour
			if test.change != nil {
				test.change(r)
			}
			l, f := began(t, r, client1, dst1, 100)
			l.exchange(f.Key, test.rounds, 1)
			if test.then != nil {
				test.then(l, r)
			}
			if got := l.FastReason(f); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// swapTo reloads with a changed copy of the route.
func swapTo(change func(*config.Route)) func(*testLoop, *config.Route) {
	return func(l *testLoop, r *config.Route) {
		changed := *r
		change(&changed)
		l.routes.Swap(routes{dst1: &changed}, []*config.Route{&changed})
	}
}

// TestFastReasonOfAddresses: what no header can name, and no entry can have.
func TestFastReasonOfAddresses(t *testing.T) {
	r := to(netip.MustParseAddrPort("[2001:db8:2::5]:9000"))
	l := newTestLoop(10, live(r, dst6))
	k := flow.KeyOf(netip.MustParseAddrPort("[fe80::1]:4000"), dst6)
	k.Client.Zone = 2
	if got := l.FastReason(l.exchange(k, 9, 1)); got != route.FastZone {
		t.Errorf("a link-local client: %v", got)
	}
	r.AcceptProxy = []netip.Prefix{netip.MustParsePrefix("2001:db8:9::/48")}
	l = newTestLoop(10, live(r, dst6))
	k = flow.KeyOf(client6, dst6)
	k.Via = flow.ViaOf(call.EndpointOf(client6), call.EndpointOf(dst6))
	if got := l.FastReason(l.exchange(k, 9, 1)); got != route.FastNamedClient {
		t.Errorf("a named client: %v", got)
	}
}

// TestFastFlow: what the kernel is told.
func TestFastFlow(t *testing.T) {
	source := netip.MustParseAddrPort("10.0.0.1:33333")
	for protocol, want := range map[config.ProxyProtocol]fastflow.Header{
		config.ProxyOff: fastflow.None, config.ProxyV2: fastflow.V2, config.ProxySPP: fastflow.SPP,
	} {
		r := to(originAddr)
		r.ProxyProtocol, r.UDPIdle = protocol, 7*time.Second
		_, f := began(t, r, client1, dst1, 1)
		got := f.FastFlow(source, true)
		if got != (fastflow.Flow{Client: client1, Dst: dst1, Source: source, Origin: originAddr, Header: want, SharesSource: true, Idle: 7 * time.Second}) {
			t.Errorf("%s: %+v", protocol, got)
		}
	}
}

// TestFastUntil: the kernel forwards a flow to the end of its route's hours, if that ends the flow.
func TestFastUntil(t *testing.T) {
	entry, err := hours.Parse("08:00..18:00 UTC")
	if err != nil {
		t.Fatal(err)
	}
	office := hours.Schedule{entry}
	now := time.Date(2026, 5, 4, 17, 30, 0, 0, time.UTC)
	for _, test := range []struct {
		active hours.Schedule
		then   config.OnDown
		want   time.Time
	}{
		{nil, config.CloseConns, time.Time{}},
		{office, config.KeepConns, time.Time{}},
		{office, config.CloseConns, now.Add(30 * time.Minute)},
	} {
		r := to(originAddr)
		r.Active, r.OnInactive = test.active, test.then
		_, f := began(t, r, client1, dst1, 1)
		if got := f.FastUntil(now); !got.Equal(test.want) {
			t.Errorf("%v, %v: %v, want %v", test.active, test.then, got, test.want)
		}
	}
}

// TestFastDue: the kernel is asked once, again in another generation, and again after a while.
func TestFastDue(t *testing.T) {
	l, f := began(t, to(originAddr), client1, dst1, 100)
	if f.FastDue(1, 1) {
		t.Error("due without an answer")
	}
	l.exchange(f.Key, 9, 1)
	if !f.FastDue(1, 1) {
		t.Fatal("not due once the client is validated")
	}
	for _, reason := range []route.FastReason{route.FastForwarded, route.FastFull} {
		l.FastAsked(f, 1, reason, time.Minute)
		if f.FastDue(1, time.Minute+time.Second-1) {
			t.Errorf("%v: due at once", reason)
		}
		if !f.FastDue(2, time.Minute) || !f.FastDue(1, time.Minute+time.Second) {
			t.Errorf("%v: not due in another generation, or a second later", reason)
		}
	}
}

// TestFastPathOfTheList: the list says which way the datagrams of a flow go now.
func TestFastPathOfTheList(t *testing.T) {
	l, f := began(t, to(originAddr), client1, dst1, 100)
	expect := func(generation uint32, want route.FastReason) {
		t.Helper()
		if got := f.Listed(1, generation).Path; got != want {
			t.Errorf("listed as %v, want %v", got, want)
		}
	}
	expect(0, route.FastUnavailable)
	expect(1, route.FastUnanswered)
	l.exchange(f.Key, 9, 1)
	expect(1, route.FastWaiting)
	l.FastAsked(f, 1, route.FastForwarded, 1)
	expect(1, route.FastForwarded)
	expect(2, route.FastWaiting)
	l.FastAsked(f, 2, route.FastDevice, 1)
	expect(2, route.FastDevice)
}

// TestFastCounts: whatever the kernel forwards, and whenever it is read, each datagram is counted once,
// in the route, the origin and the record of its flow; or in the first two, if the flow has ended.
func TestFastCounts(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		r := to(originAddr)
		r.UDPIdle = time.Hour
		l, f := began(t, r, client1, dst1, 100)
		l.exchange(f.Key, 9, 1)
		stats, now := l.routes.Set().Routes[0].Stats, time.Duration(1)
		base := stats.Totals()
		var kernel fastflow.Usage // of the entry
		var forwarded [2]fastflow.Count
		var left []flow.FastLeft
		generation := uint32(1)
		forward := func(u *fastflow.Usage) {
			there, back := uint64(random.IntN(3)), uint64(random.IntN(3))
			for i, n := range []uint64{there, back} {
				forwarded[i].Packets += n
				forwarded[i].Bytes += 10 * n
			}
			u.ToOrigin.Packets, u.ToOrigin.Bytes = u.ToOrigin.Packets+there, u.ToOrigin.Bytes+10*there
			u.ToClient.Packets, u.ToClient.Bytes = u.ToClient.Packets+back, u.ToClient.Bytes+10*back
		}
		var leaving []fastflow.Usage
		for range 100 {
			now += time.Second
			switch action := random.IntN(5); {
			case action == 0 && f.InKernel():
				l.FastUsed(f, kernel, now)
			case action == 1 && f.InKernel(): // dead, and asked again
				generation++
				l.FastUsed(f, kernel, now)
				l.FastAsked(f, generation, route.FastForwarded, now)
				kernel = fastflow.Usage{}
			case action == 2 && f.InKernel():
				l.FastUsed(f, kernel, now)
				left = append(left, l.FastLeft(f, f.FastFlow(originAddr, false), now))
				forward(&kernel) // on its way through the entry when that was read last
				leaving, kernel = append(leaving, kernel), fastflow.Usage{}
			case action == 3 && !f.InKernel():
				l.FastAsked(f, generation, route.FastForwarded, now)
			case f.InKernel():
				forward(&kernel)
			}
		}
		for i := range left {
			left[i].Removed(leaving[i])
		}
		if f.InKernel() {
			l.FastUsed(f, kernel, now)
			rest := l.FastLeft(f, f.FastFlow(originAddr, false), now)
			rest.Removed(kernel)
		}
		got, o := stats.Totals(), f.Origin
		for d, want := range forwarded {
			direction := route.Direction(d)
			switch {
			case got.Fast[direction] != want.Packets,
				got.Datagrams[direction][route.Forwarded]-base.Datagrams[direction][route.Forwarded] != want.Packets,
				got.Bytes[config.UDP][direction]-base.Bytes[config.UDP][direction] != want.Bytes,
				o.Carried(d) != want.Bytes:
				t.Fatalf("seed %d: %v: counted %v, %v, %d bytes, at the origin %d, want %+v", seed, direction,
					got.Fast, got.Datagrams, got.Bytes[config.UDP][direction], o.Carried(d), want)
			}
		}
		if stats.Fast() != 0 {
			t.Fatalf("seed %d: %d flows are in the kernel at the end", seed, stats.Fast())
		}
	}
}

// TestFastFlowIsAsIdleAsTheKernelSays: a flow whose datagrams the kernel forwards does not end, and one
// that it does not hear of ends at its time.
func TestFastFlowIsAsIdleAsTheKernelSays(t *testing.T) {
	r := to(originAddr)
	r.UDPIdle = time.Minute
	l, f := began(t, r, client1, dst1, 100)
	l.exchange(f.Key, 9, 1)
	l.FastAsked(f, 1, route.FastForwarded, 1)
	if expired, v := l.Expired(time.Minute + 1); expired != f || v != route.IdleTimedOut {
		t.Fatalf("%v, %v", expired, v)
	}
	used := fastflow.Usage{ToOrigin: fastflow.Count{Packets: 1, Bytes: 10}, Quiet: 20 * time.Second}
	if !l.FastUsed(f, used, time.Minute) {
		t.Fatal("nothing was forwarded")
	}
	if expired, v := l.Expired(100*time.Second - 1); expired != nil {
		t.Fatalf("%v 40 s after the last datagram", v)
	}
	used.Quiet = time.Minute
	if expired, _ := l.Expired(100 * time.Second); expired != f || l.FastUsed(f, used, 100*time.Second) {
		t.Error("the flow lives on, a minute after the last datagram")
	}
}

// TestFastFlowIsValidated: a flow that went to the kernel before its client was validated is validated
// by what the kernel has forwarded, since user space sees no exchange any more.
func TestFastFlowIsValidated(t *testing.T) {
	l, f := began(t, to(originAddr), client1, dst1, 100)
	l.exchange(f.Key, 4, 1)
	l.FastAsked(f, 1, route.FastForwarded, 1)
	l.FastUsed(f, fastflow.Usage{ToOrigin: fastflow.Count{Packets: 100}}, 1)
	if f.Stage() != flow.Answered {
		t.Fatalf("a stream in one direction: stage %v", f.Stage())
	}
	l.FastUsed(f, fastflow.Usage{ToOrigin: fastflow.Count{Packets: 108}, ToClient: fastflow.Count{Packets: 8}}, 1)
	if f.Stage() != flow.Validated {
		t.Errorf("stage %v", f.Stage())
	}
}

// TestPathOfTheRecord: the record says who has forwarded the flow's datagrams, also after the flow has
// gone to another process, and where the kernel went on to forward it for a process that died.
func TestPathOfTheRecord(t *testing.T) {
	used := fastflow.Usage{ToClient: fastflow.Count{Packets: 1, Bytes: 10}}
	next := func(l *testLoop) (*testLoop, *testFlow) {
		other := newTestLoop(10, live(to(originAddr), dst1))
		other.adopt(travel(t, l.moving(0))[0])
		return other, other.Find(flow.KeyOf(client1, dst1))
	}
	for _, test := range []struct {
		name string
		do   func(*testLoop, *testFlow) (*testLoop, *testFlow)
		want route.Path
	}{
		{"without the fast path", func(l *testLoop, f *testFlow) (*testLoop, *testFlow) { return l, f }, route.InUser},
		{"admitted, and nothing came", func(l *testLoop, f *testFlow) (*testLoop, *testFlow) {
			l.FastAsked(f, 1, route.FastForwarded, 1)
			return next(l)
		}, route.InUser},
		{"forwarded", func(l *testLoop, f *testFlow) (*testLoop, *testFlow) {
			l.FastAsked(f, 1, route.FastForwarded, 1)
			l.FastUsed(f, used, 1)
			return l, f
		}, route.OnBoth},
		{"forwarded, and refused since", func(l *testLoop, f *testFlow) (*testLoop, *testFlow) {
			l.FastAsked(f, 1, route.FastForwarded, 1)
			l.FastUsed(f, used, 1)
			l.FastLeft(f, f.FastFlow(originAddr, false), 1)
			l.FastAsked(f, 2, route.FastDevice, 1)
			return next(l)
		}, route.OnBoth},
		{"left behind by a dead process", func(l *testLoop, f *testFlow) (*testLoop, *testFlow) {
			l.FastLeftBefore(f, 1, used)
			return l, f
		}, route.InKernel},
		{"left behind, and come up since", func(l *testLoop, f *testFlow) (*testLoop, *testFlow) {
			l.FastLeftBefore(f, 1, used)
			f.FastStays(1, 0, 1)
			return l, f
		}, route.OnBoth},
		{"left behind, and asked for again", func(l *testLoop, f *testFlow) (*testLoop, *testFlow) {
			l.FastLeftBefore(f, 1, used)
			l.FastAsked(f, 2, route.FastForwarded, 1)
			return next(l)
		}, route.OnBoth},
	} {
		l, f := test.do(began(t, to(originAddr), client1, dst1, 100))
		l.end(f, route.Killed, 1)
		if got := l.records[0].Path; got != test.want {
			t.Errorf("%s: the path is %q, want %q", test.name, got, test.want)
		}
	}
}

// TestLeftAmongOrigins: a flow of a process that has died goes on if its origin is any of the route's, also where
// another one has the same address.
func TestLeftAmongOrigins(t *testing.T) {
	r := to(originAddr)
	any := r.Origins[0]
	any.Ports = config.PortRange{} // that of dst
	r.Origins = []config.Origin{any, r.Origins[0]}
	l := newTestLoop(10, live(r, dst1))
	for _, test := range []struct {
		port uint16
		want bool
	}{{originAddr.Port(), true}, {dst1.Port(), true}, {1, false}} {
		entry := fastflow.Flow{Client: client1, Dst: dst1, Origin: netip.AddrPortFrom(originAddr.Addr(), test.port)}
		if _, ok := l.Left(entry, fastflow.Usage{}, time.Now()); ok != test.want {
			t.Errorf("port %d of the origin: %v, want %v", test.port, ok, test.want)
		}
	}
}
