package udp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/bpf/fastflow"
	"anyport/config"
	"anyport/proxy/flow"
	"anyport/proxy/internal/proxytest"
	"anyport/proxy/route"
)

// fakeKernel is a FastPath that forwards nothing: a test says what it has forwarded.
type fakeKernel struct {
	mu         sync.Mutex
	generation uint32
	refusal    error                         // of Admit; nil: none
	entries    map[netip.AddrPort]*fakeEntry // by client
	admitted   int
	faults     []string
}

type fakeEntry struct {
	flow       fastflow.Flow
	generation uint32 // 0: it has left
	usage      fastflow.Usage
	last       time.Time
	remembered int            // calls of Remember
	asLeft     fastflow.Count // is forwarded between Leave and Remove
}

func newFakeKernel() *fakeKernel {
	return &fakeKernel{generation: 1, entries: map[netip.AddrPort]*fakeEntry{}}
}

func (k *fakeKernel) Generation() uint32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.generation
}

func (k *fakeKernel) Raise() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.generation++
	return nil
}

func (k *fakeKernel) Admit(f fastflow.Flow) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.admitted++
	if k.refusal != nil {
		return k.refusal
	}
	k.entries[f.Client] = &fakeEntry{flow: f, generation: k.generation, last: time.Now()}
	return nil
}

// entry is that of a flow, described as it was admitted.
func (k *fakeKernel) entry(f fastflow.Flow) *fakeEntry {
	e := k.entries[f.Client]
	if e != nil && e.flow != f {
		k.faults = append(k.faults, "a flow is described otherwise than when it was admitted")
		return nil
	}
	return e
}

func (k *fakeKernel) Usage(f fastflow.Flow) (fastflow.Usage, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.entry(f)
	if e == nil {
		return fastflow.Usage{}, false
	}
	u := e.usage
	u.Quiet = time.Since(e.last)
	return u, true
}

func (k *fakeKernel) Leave(f fastflow.Flow) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.entry(f); e != nil {
		e.generation = 0
	}
}

func (k *fakeKernel) Remove(f fastflow.Flow) (fastflow.Usage, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.entry(f)
	if e == nil {
		return fastflow.Usage{}, false
	}
	if e.generation == k.generation {
		k.faults = append(k.faults, "a live entry was removed")
	}
	e.usage.ToClient.Packets += e.asLeft.Packets
	e.usage.ToClient.Bytes += e.asLeft.Bytes
	delete(k.entries, f.Client)
	return e.usage, true
}

func (k *fakeKernel) Remember(f fastflow.Flow) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.entry(f); e != nil {
		e.remembered++
	}
}

// forward notes datagrams of 10 bytes as forwarded, if the entry is alive.
func (k *fakeKernel) forward(client netip.AddrPort, there, back uint64) (alive bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.entries[client]
	if e == nil || e.generation != k.generation {
		return false
	}
	e.usage.ToOrigin.Packets += there
	e.usage.ToOrigin.Bytes += 10 * there
	e.usage.ToClient.Packets += back
	e.usage.ToClient.Bytes += 10 * back
	e.last = time.Now()
	return true
}

func (k *fakeKernel) refuse(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refusal = err
}

// asked is how often Admit was called.
func (k *fakeKernel) asked() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.admitted
}

func (k *fakeKernel) held() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.entries)
}

func (k *fakeKernel) flowOf(client netip.AddrPort) (f fastflow.Flow, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.entries[client]; e != nil && e.generation == k.generation {
		return e.flow, true
	}
	return f, false
}

// fastRig is a proxy with a fake kernel, an origin that echoes, and a client.
type fastRig struct {
	*testing.T
	*proxy
	kernel         *fakeKernel
	origin, client peer
}

func newFastRig(t *testing.T, addr string, change func(*config.Route)) *fastRig {
	t.Helper()
	noLeaks(t)
	g := &fastRig{T: t, kernel: newFakeKernel(), origin: newPeer(t, addr), client: newPeer(t, addr)}
	g.origin.echo()
	r := to(g.origin.addr())
	r.AntiAmplification = true
	if change != nil {
		change(r)
	}
	listeners, dsts := listen(t, addr)
	g.proxy = serveOn(t, Options{Listeners: listeners, Routes: live(r, dsts...), Fast: g.kernel}, dsts)
	t.Cleanup(func() { // before that of serveOn
		g.proxy.stop()
		if n := g.kernel.held(); n > 0 {
			t.Errorf("%d entries are left", n)
		}
		for _, f := range g.kernel.faults {
			t.Error(f)
		}
		if n := g.live.Set(); len(n.Routes) > 0 && n.Routes[0].Stats.Fast() != 0 {
			t.Errorf("%d flows count as forwarded by the kernel", n.Routes[0].Stats.Fast())
		}
	})
	return g
}

// exchange has the client and the origin speak in turn.
func (g *fastRig) exchange(n int) {
	g.Helper()
	for range n {
		g.client.send([]byte("hello"), g.dsts[0])
		g.client.expect([]byte("hello"), g.dsts[0])
	}
}

// untilAdmitted has them speak until the kernel forwards the flow.
func (g *fastRig) untilAdmitted() (f fastflow.Flow) {
	g.Helper()
	waitFor(g.T, "the kernel to be asked", func() (ok bool) {
		g.exchange(1)
		f, ok = g.kernel.flowOf(g.client.addr())
		return ok
	})
	return f
}

func (g *fastRig) listed() route.Conn {
	g.Helper()
	for page := range g.live.Conns {
		return page[0]
	}
	g.Fatal("no flow is listed")
	return route.Conn{}
}

// TestFastPath: a flow that has shown itself goes to the kernel, as what it is.
func TestFastPath(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		for protocol, header := range map[config.ProxyProtocol]fastflow.Header{config.ProxyOff: fastflow.None} {
			g := newFastRig(t, addr, func(r *config.Route) { r.ProxyProtocol = protocol })
			g.exchange(flow.ExchangesToValidate)
			if g.kernel.asked() > 0 {
				t.Error("the kernel was asked before the client was validated")
			}
			f := g.untilAdmitted()
			want := fastflow.Flow{Client: g.client.addr(), Dst: g.dsts[0], Source: f.Source, Origin: g.origin.addr(), Header: header, Idle: time.Hour}
			if f != want || f.Source.Addr() != g.origin.addr().Addr() || f.Source.Port() == 0 {
				t.Errorf("the kernel forwards %+v, want %+v", f, want)
			}
			if got := g.listed().Path; got != route.FastForwarded {
				t.Errorf("listed as %v", got)
			}
			before := g.kernel.asked()
			g.exchange(10)
			if g.kernel.asked() != before {
				t.Error("the kernel was asked again at once")
			}
			g.proxy.stop()
		}
	}
}

// TestFastPathOfASharedSocket: the socket is not connected, and yet the kernel is told which address the
// datagrams leave from.
func TestFastPathOfASharedSocket(t *testing.T) {
	g := newFastRig(t, "127.0.0.1", func(r *config.Route) { r.ProxyProtocol = config.ProxySPP })
	for range 10 { // the origin echoes the header with the payload
		g.exchange(1)
	}
	f := g.untilAdmitted()
	if f.Header != fastflow.SPP || !f.SharesSource || f.Source.Addr() != g.origin.addr().Addr() || f.Source.Port() == 0 {
		t.Errorf("%+v", f)
	}
}

// TestFastPathOfAMovingSource: the datagrams of a shared socket leave from another address, since routes have
// changed. What the kernel has forwarded from the one before is counted, and its entry is removed.
func TestFastPathOfAMovingSource(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	const addr = "127.0.0.5"
	g := newFastRig(t, addr, func(r *config.Route) { r.ProxyProtocol = config.ProxySPP })
	f := g.untilAdmitted()
	g.kernel.forward(f.Client, 5, 5)
	lo, err := netlink.LinkByName("lo")
	check(t, err)
	to, err := netlink.ParseIPNet(addr + "/32")
	check(t, err)
	check(t, netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: to, Src: net.ParseIP("127.0.0.9"), Table: 255, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST}))
	check(t, g.kernel.Raise())
	if next := g.untilAdmitted(); next.Source.String() != fmt.Sprint("127.0.0.9:", f.Source.Port()) {
		t.Errorf("the kernel forwards %+v", next)
	}
	if got := g.totals().Fast[route.ToOrigin]; got != 5 {
		t.Errorf("%d datagrams are counted, of 5", got)
	}
	g.kernel.forward(f.Client, 3, 3)
	check(t, netlink.RouteDel(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: to, Table: 255, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST}))
	check(t, g.kernel.Raise())
	g.live.Kill(func(*route.Conn) bool { return true })
	if got := g.totals().Fast[route.ToOrigin]; got != 8 {
		t.Errorf("%d datagrams are counted, of 8", got)
	}
	waitFor(t, "the entry to be removed", func() bool { return g.kernel.held() == 0 })
}

// TestFastPathIsRemembered: the steering program, which counts the new flows of a route, is told of those that the
// kernel forwards, at once and as long as they live.
func TestFastPathIsRemembered(t *testing.T) {
	for _, limit := range []int{0, 10} {
		g := newFastRig(t, "127.0.0.1", func(r *config.Route) { r.NewConnsPerSecond, r.UDPIdle = limit, 4*time.Second })
		g.untilAdmitted()
		calls := func() int {
			g.kernel.mu.Lock()
			defer g.kernel.mu.Unlock()
			return g.kernel.entries[g.client.addr()].remembered
		}
		if limit == 0 {
			time.Sleep(1100 * time.Millisecond)
			g.kernel.forward(g.client.addr(), 1, 1)
			g.live.CountForwarded()
			if n := calls(); n != 0 {
				t.Errorf("told %d times of a flow that nobody counts", n)
			}
			continue
		}
		if n := calls(); n != 1 {
			t.Fatalf("told %d times of a flow that was just admitted", n)
		}
		waitFor(t, "the flow to be remembered for longer", func() bool {
			g.kernel.forward(g.client.addr(), 1, 1)
			g.live.CountForwarded()
			return calls() > 2
		})
		g.proxy.stop()
	}
}

// TestFastPathCounts: what the kernel forwards is in the counters whenever they are read, in the list, and
// in the record of the flow; also what it forwards while the flow ends.
func TestFastPathCounts(t *testing.T) {
	g := newFastRig(t, "127.0.0.1", nil)
	g.untilAdmitted()
	g.live.CountForwarded()
	before, listed := g.totals(), g.listed()
	g.kernel.forward(g.client.addr(), 1000, 2000)
	g.live.CountForwarded()
	g.live.CountForwarded() // nothing is counted twice
	after, now := g.totals(), g.listed()
	if n := after.Datagrams[route.ToOrigin][route.Forwarded] - before.Datagrams[route.ToOrigin][route.Forwarded]; n != 1000 || after.Fast[route.ToOrigin] != 1000 {
		t.Errorf("%d datagrams to the origin, %d of them by the kernel", n, after.Fast[route.ToOrigin])
	}
	if n := after.Bytes[config.UDP][route.ToClient] - before.Bytes[config.UDP][route.ToClient]; n != 20000 || now.ToClient-listed.ToClient != n {
		t.Errorf("%d bytes to the client, %d in the list", n, now.ToClient-listed.ToClient)
	}
	g.kernel.forward(g.client.addr(), 1, 0)
	g.kernel.mu.Lock()
	g.kernel.entries[g.client.addr()].asLeft = fastflow.Count{Packets: 3, Bytes: 30}
	g.kernel.mu.Unlock()
	if n := g.live.Kill(func(*route.Conn) bool { return true }); n != 1 {
		t.Fatalf("%d flows were ended", n)
	}
	r := g.record(t)
	if got := r.Sent[route.ToOrigin].Bytes; got != now.ToOrigin+10 {
		t.Errorf("the record says %d bytes, want %d", got, now.ToOrigin+10)
	}
	waitFor(t, "the entry to be removed", func() bool { return g.kernel.held() == 0 })
	waitFor(t, "the last datagrams to be counted", func() bool { return g.totals().Fast[route.ToClient] == 2003 })
}

// TestFastPathIsAskedAgain: in a new generation each flow is decided on again, by its next datagram from
// either side.
func TestFastPathIsAskedAgain(t *testing.T) {
	g := newFastRig(t, "127.0.0.1", nil)
	g.untilAdmitted()
	g.kernel.forward(g.client.addr(), 5, 5)
	check(t, g.kernel.Raise())
	if got := g.listed().Path; got != route.FastForwarded && got != route.FastWaiting {
		t.Errorf("listed as %v", got)
	}
	g.untilAdmitted()
	g.kernel.forward(g.client.addr(), 2, 2)
	g.live.CountForwarded()
	if got := g.totals().Fast[route.ToOrigin]; got != 7 {
		t.Errorf("counted %d, want 5 and 2", got)
	}
	changed := *g.live.Set().Routes[0].Route // a reload
	changed.FastPath = config.FastOff
	g.live.Swap(routes{g.dsts[0]: &changed}, []*config.Route{&changed})
	if g.kernel.forward(g.client.addr(), 1, 1) {
		t.Error("the kernel goes on after a reload")
	}
	waitFor(t, "the entry to be removed", func() bool { g.exchange(1); return g.kernel.held() == 0 })
	if got := g.listed().Path; got != route.FastOff {
		t.Errorf("listed as %v", got)
	}
	if got := g.totals().FastRefused[route.FastOff]; got != 1 {
		t.Errorf("counted as off %d times", got)
	}
}

// TestFastPathRefused: a kernel that refuses is not asked again for a second, and then once.
func TestFastPathRefused(t *testing.T) {
	g := newFastRig(t, "127.0.0.1", nil)
	g.kernel.refuse(errors.Join(errors.New("for a test"), fastflow.Full))
	g.exchange(flow.ExchangesToValidate)
	begun := time.Now()
	waitFor(t, "the kernel to be asked", func() bool { g.exchange(1); return g.kernel.asked() > 0 })
	g.exchange(100)
	if n, most := g.kernel.asked(), 1+int(time.Since(begun)/time.Second); n > most {
		t.Errorf("asked %d times in %v", n, time.Since(begun))
	}
	if got := g.listed().Path; got != route.FastFull {
		t.Errorf("listed as %v", got)
	}
	g.kernel.refuse(nil)
	g.untilAdmitted()
	if got := g.totals().FastRefused[route.FastFull]; got != 1 {
		t.Errorf("counted %d times", got)
	}
}

// TestFastPathEndsIdle: a flow ends when neither user space nor the kernel has had a datagram.
func TestFastPathEndsIdle(t *testing.T) {
	g := newFastRig(t, "127.0.0.1", func(r *config.Route) { r.UDPIdle = 2 * time.Second })
	g.untilAdmitted()
	var last time.Time
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if g.kernel.forward(g.client.addr(), 1, 1) {
			last = time.Now()
		} else {
			t.Fatal("the flow has ended, and the kernel forwards it")
		}
	}
	r := g.record(t)
	if ended := r.Begun.Add(r.Took); r.Verdict != route.IdleTimedOut || ended.Before(last.Add(2*time.Second)) {
		t.Errorf("%v, %v after the last datagram", r.Verdict, ended.Sub(last))
	}
}

// TestFastPathMovesOut: an origin that goes away takes the flow out of the kernel, and the next one is
// admitted in its turn.
func TestFastPathMovesOut(t *testing.T) {
	second := newPeer(t, "127.0.0.1")
	second.echo()
	g := newFastRig(t, "127.0.0.1", func(r *config.Route) { r.Origins = append(r.Origins, to(second.addr()).Origins...) })
	g.untilAdmitted()
	check(t, g.origin.Close())
	g.live.OriginDown() // as for an origin whose check fails
	waitFor(t, "the flow to go to the other origin", func() bool {
		g.client.send([]byte("more"), g.dsts[0])
		f, ok := g.kernel.flowOf(g.client.addr())
		return ok && f.Origin == second.addr()
	})
}

// TestFastPathBeforeAnUpgrade: when another process is about to get the flows, the kernel has none of
// them, and all is counted; if it does not take them, they go to the kernel again.
func TestFastPathBeforeAnUpgrade(t *testing.T) {
	noLeaks(t)
	kernel, origin := newFakeKernel(), newPeer(t, "127.0.0.1")
	origin.echo()
	r := to(origin.addr())
	listeners, dsts := listen(t, "127.0.0.1", "127.0.0.1")
	handovers := make(chan func([]Flow) error)
	routes := live(r, dsts...)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, Options{Listeners: listeners, Routes: routes, Fast: kernel, Handovers: handovers, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	}()
	defer cancel()
	k := begin(t, dsts)
	admitAll := func() {
		t.Helper()
		waitFor(t, "all flows to be in the kernel", func() bool {
			k.send("hello")
			k.hear(t)
			in := 0
			for _, c := range k.clients {
				if _, ok := kernel.flowOf(c.addr()); ok {
					in++
				}
			}
			return in == len(k.clients)
		})
	}
	admitAll()
	for _, c := range k.clients {
		kernel.forward(c.addr(), 100, 100)
	}
	called := make(chan uint64, 1)
	give := func(result error) func([]Flow) error {
		return func(flows []Flow) error {
			sent := uint64(kernel.held()) << 32 // none may be held
			for _, f := range flows {
				sent += f.Packets[route.ToOrigin]
			}
			called <- sent
			return result
		}
	}
	handovers <- give(errors.New("the other process has failed"))
	first := <-called
	if first < 12*(100+4) || first >= 1<<32 {
		t.Errorf("the other process gets %d datagrams, and %d entries are left", uint32(first), first>>32)
	}
	admitAll()
	handovers <- give(nil)
	if again := <-called; again <= first || again >= 1<<32 {
		t.Errorf("%d datagrams before, %d now, %d entries", first, uint32(again), again>>32)
	}
	check(t, <-ended)
	if n := kernel.held(); n > 0 {
		t.Errorf("%d entries are left", n)
	}
}

// TestFastPathWaitsForReload: while the loop still looks which flows a reload drains, the kernel is asked about none.
func TestFastPathWaitsForReload(t *testing.T) {
	kernel := newFakeKernel()
	g := newReuseRig(t, math.MaxInt, func(o *Options) { o.Fast = kernel })
	client, from := g.exchange("hello")
	speak := func() {
		client.send([]byte("hello"), g.dst)
		g.turn()
		g.origin.receive()
		g.answer(client, from, "hello")
		g.askKernel(g.time)
	}
	newClientsTo(t, g.dst, route.PageSize)
	g.turn()
	g.beginAllWaiting(g.time)
	r := *g.routes.Set().Routes[0].Route
	g.routes.Swap(proxytest.Routes{g.dst: &r}, []*config.Route{&r})
	g.flows.Reload(g.time)
	for range 2 * flow.ExchangesToValidate {
		speak()
	}
	if n := kernel.asked(); n != 0 || !g.flows.Reloading() {
		t.Errorf("asked %d times in a reload", n)
	}
	g.flows.Reload(g.time)
	speak()
	if n := kernel.asked(); n != 1 || g.flows.Reloading() {
		t.Errorf("asked %d times after a reload, want once", n)
	}
}
