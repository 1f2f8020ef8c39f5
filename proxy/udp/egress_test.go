package udp

import (
	"errors"
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/datagram"
	"anyport/proxy/route"
)

// sends is a route whose flows leave from prefixes.
func sends(origin netip.AddrPort, prefixes ...string) *config.Route {
	r := to(origin)
	for _, p := range prefixes {
		r.EgressPrefixes = append(r.EgressPrefixes, netip.MustParsePrefix(p))
	}
	return r
}

func TestExits(t *testing.T) {
	r := route.NewLive(1)
	from := sends(originAddr, "2001:db8:e::/48", "10.1.0.8/30", "10.2.0.1/32")
	r.Swap(routes{dst1: from}, []*config.Route{from})
	e := egress{raw: datagram.TakeRaw(7, -1), flows: map[key]*flow{}}
	seen := map[netip.Addr]bool{}
	for range 1000 {
		f := &flow{key: keyOf(client1, dst1), route: r.Set().Routes[0]}
		if err := e.begin(f, originAddr); err != nil {
			t.Fatal(err)
		}
		addr := f.exit.addr()
		if addr.Port() < 1024 || !from.EgressPrefixes[1].Contains(addr.Addr()) && !from.EgressPrefixes[2].Contains(addr.Addr()) {
			t.Fatalf("leaves from %v", addr)
		}
		if f.fd != 7 || e.flows[keyOf(originAddr, addr)] != f {
			t.Fatalf("what comes back to %v does not find its flow", addr)
		}
		seen[addr.Addr()] = true
	}
	if len(seen) != 5 || len(e.flows) != 1000 {
		t.Errorf("%d flows leave from %v, want 1000 and all five addresses", len(e.flows), seen)
	}
	for _, f := range e.flows {
		e.end(f)
	}
	if len(e.flows) != 0 {
		t.Errorf("%d exits are left", len(e.flows))
	}
}

// TestNoExit: where all ports towards an origin are taken, there is an error that the
// table knows; towards another, the same ports are free.
func TestNoExit(t *testing.T) {
	from := sends(originAddr, "10.1.0.8/32")
	l := live(from, dst1)
	e := egress{raw: datagram.TakeRaw(7, -1), flows: map[key]*flow{}}
	for port := 1024; port <= 65535; port++ {
		e.flows[keyOf(originAddr, netip.AddrPortFrom(from.EgressPrefixes[0].Addr(), uint16(port)))] = &flow{}
	}
	f := &flow{key: keyOf(client1, dst1), route: l.Set().Routes[0]}
	if err := e.begin(f, originAddr); !errors.Is(err, call.ErrNoPort) {
		t.Errorf("got %v", err)
	}
	if err := e.begin(f, backupAddr); err != nil {
		t.Errorf("to another origin: %v", err)
	}
	if err := e.begin(f, netip.MustParseAddrPort("[2001:db8:5::5]:1")); err == nil {
		t.Error("an IPv6 origin was found by way of an IPv4 prefix")
	}
	e.raw = datagram.TakeRaw(-1, -1)
	if err := e.begin(f, backupAddr); err == nil || errors.Is(err, call.ErrNoPort) {
		t.Errorf("without a raw socket: %v", err)
	}
}

// TestEgressMoves: a flow leaves from where it did when another process goes on with it,
// and an exit that is taken there is an error.
func TestEgressMoves(t *testing.T) {
	l := live(sends(originAddr, "10.1.0.8/32"), dst1)
	old, next := newFakeTable(10, l), newFakeTable(10, l)
	f, verdict := old.datagram(keyOf(client1, dst1), 1, 1)
	if verdict != route.Forwarded {
		t.Fatal(verdict)
	}
	from := netip.MustParseAddrPort("10.1.0.8:2000")
	f.exit = newExit(from, originAddr) // as the loop's dial would
	flows := travel(t, old.export(0))
	check(t, flows[0].Check(1))
	if flows[0].Egress != from || !next.adopt(flows[0], 1) {
		t.Fatalf("%+v is not adopted, or leaves from another address than %v", flows[0], from)
	}
	adopted := next.flows[keyOf(client1, dst1)]
	e := egress{raw: datagram.TakeRaw(7, -1), flows: map[key]*flow{}}
	check(t, e.take(adopted))
	if got := e.flows[keyOf(originAddr, from)]; got != adopted || got.fd != 7 {
		t.Errorf("what comes back finds %+v", got)
	}
	if err := e.take(adopted); !errors.Is(err, errTaken) {
		t.Errorf("once more: %v", err)
	}
	flows[0].Egress = netip.MustParseAddrPort("[2001:db8::1]:2000")
	if flows[0].Check(1) == nil {
		t.Error("a flow to IPv4 may leave from IPv6")
	}
}

func TestAddrIn(t *testing.T) {
	for _, text := range []string{"10.1.2.3/32", "10.1.2.0/23", "10.0.0.0/8", "2001:db8::/33", "2001:db8::1/128", "2001:db8::/64"} {
		p := netip.MustParsePrefix(text)
		seen := map[netip.Addr]bool{}
		for range 100 {
			a := addrIn(p)
			if !p.Contains(a) {
				t.Fatalf("%v is not in %v", a, p)
			}
			seen[a] = true
		}
		if single := len(seen) == 1; single != p.IsSingleIP() {
			t.Errorf("%v: %d addresses", p, len(seen))
		}
	}
}

// TestSocketBound: flows without a socket do not count against the bound of those with
// one, nor give way to them.
func TestSocketBound(t *testing.T) {
	own, none := to(originAddr), sends(originAddr, "10.1.0.0/24")
	none.Name = "none"
	l := route.NewLive(1)
	l.Swap(routes{dst1: own, dst2: none}, []*config.Route{own, none})
	f := newFakeTable(4, l)
	f.mayOwn = socketQuota{ports: shareOut(1, 1)[0]}
	begin := func(client netip.AddrPort, dst netip.AddrPort, want route.Verdict) {
		t.Helper()
		if _, got := f.datagram(keyOf(client, dst), 1, 1); got != want {
			t.Fatalf("%v → %v: %v, want %v", client, dst, got, want)
		}
	}
	begin(client1, dst2, route.Forwarded)
	begin(client1, dst1, route.Forwarded)
	begin(client2, dst2, route.Forwarded)
	begin(client2, dst1, route.Forwarded) // in the place of client1's
	if f.flows[keyOf(client1, dst1)] != nil || len(f.flows) != 3 || f.mayOwn.ports.Held() != 1 {
		t.Errorf("%d flows, %d with a socket; want 3, and that of %v gone", len(f.flows), f.mayOwn.ports.Held(), client1)
	}
	showAll(f)
	begin(client1, dst1, route.OverMaxFlows)
	begin(netip.AddrPortFrom(client1.Addr(), 4001), dst2, route.Forwarded)
	f.endAll(route.IdleTimedOut, 2)
	if f.mayOwn.ports.Held() != 0 || f.may.Held() != 0 || len(f.crowds.kinds[owning].members)+len(f.crowds.kinds[sharing].members) != 0 {
		t.Errorf("%d with a socket and %d clients are left", f.mayOwn.ports.Held(), len(f.crowds.kinds[owning].members)+len(f.crowds.kinds[sharing].members))
	}
}
