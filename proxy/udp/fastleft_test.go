package udp

import (
	"net/netip"
	"testing"
	"time"

	"anyport/bpf/fastflow"
	"anyport/config"
	"anyport/proxy/route"
)

// leaveBehind has the kernel forward a flow of a process that has died.
func (k *fakeKernel) leaveBehind(f fastflow.Flow, quiet time.Duration) {
	k.entries[f.Client] = &fakeEntry{
		flow: f, generation: k.generation, last: time.Now().Add(-quiet),
		usage: fastflow.Usage{ToOrigin: fastflow.Count{Packets: 3, Bytes: 30}, ToClient: fastflow.Count{Packets: 2, Bytes: 20}},
	}
}

// all are the entries, as Adopt of the real one yields them.
func (k *fakeKernel) all() FastLeft {
	var flows []fastflow.Flow
	for _, e := range k.entries {
		flows = append(flows, e.flow)
	}
	return func(yield func(fastflow.Flow, fastflow.Usage) bool) {
		for _, f := range flows {
			if u, ok := k.Usage(f); ok && !yield(f, u) {
				return
			}
		}
	}
}

// TestFastLeft: flows of a process that was killed go on, each from the address and port that its origin
// knows, if a route leads there; the others end. What the kernel has forwarded is counted from then on.
func TestFastLeft(t *testing.T) {
	for _, spp := range []bool{false, true} {
		noLeaks(t)
		kernel, origin := newFakeKernel(), newPeer(t, "127.0.0.1")
		origin.echo()
		clients := []peer{newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")}
		listeners, dsts := listen(t, "127.0.0.1")
		socket := newPeer(t, "127.0.0.1") // that of the dead process
		entry := fastflow.Flow{Client: clients[0].addr(), Dst: dsts[0], Source: socket.addr(), Origin: origin.addr(), Idle: time.Hour}
		r := to(origin.addr())
		if spp {
			r.ProxyProtocol, entry.Header, entry.SharesSource = config.ProxySPP, fastflow.SPP, true
		}
		check(t, socket.Close())
		kernel.leaveBehind(entry, time.Minute)
		second := entry
		if second.Client = clients[1].addr(); !spp {
			other := newPeer(t, "127.0.0.1")
			second.Source = other.addr()
			check(t, other.Close())
		}
		kernel.leaveBehind(second, 0)
		elsewhere, strange, busy := entry, entry, entry
		elsewhere.Client, elsewhere.Dst = netip.MustParseAddrPort("127.0.0.9:1"), netip.MustParseAddrPort("127.0.0.9:53")
		strange.Client, strange.Origin = netip.MustParseAddrPort("127.0.0.9:2"), netip.MustParseAddrPort("127.0.0.9:53")
		busy.Client, busy.Source = netip.MustParseAddrPort("127.0.0.9:3"), origin.addr()
		for _, f := range []fastflow.Flow{elsewhere, strange, busy} {
			kernel.leaveBehind(f, 0)
		}
		before := kernel.Generation()
		p := serveOn(t, Options{Listeners: listeners, Routes: live(r, dsts...), Fast: kernel, FastLeft: kernel.all()}, dsts)

		waitFor(t, "all flows to be decided on", func() bool { return kernel.Generation() != before })
		waitFor(t, "two flows to go on", func() bool { return p.live.Set().Routes[0].Stats.Active(config.UDP) == 2 })
		for page := range p.live.Conns {
			for _, c := range page {
				if c.ToOrigin != 30 || c.ToClient != 20 || c.State != route.Open || c.Client == entry.Client && c.Idle < time.Minute {
					t.Errorf("listed %+v", c)
				}
			}
		}
		if n := kernel.held(); n != 2 {
			t.Errorf("the kernel has %d entries, want those that go on", n)
		}
		if kernel.forward(entry.Client, 1, 1) {
			t.Error("the generation of the dead process goes on")
		}
		for i, f := range []fastflow.Flow{entry, second} {
			clients[i].send([]byte("hello"), dsts[0])
			clients[i].expect([]byte("hello"), dsts[0])
			waitFor(t, "the kernel to be asked again", func() bool {
				again, ok := kernel.flowOf(f.Client)
				if ok && again != f {
					t.Errorf("the kernel forwards %+v, want %+v", again, f)
				}
				return ok
			})
		}
		if got := p.totals().Fast[route.ToOrigin]; got != 0 {
			t.Errorf("%d datagrams of before were counted again", got)
		}
		p.stop()
		if n := kernel.held(); n > 0 || len(kernel.faults) > 0 {
			t.Errorf("%d entries are left, %q", n, kernel.faults)
		}
	}
}
