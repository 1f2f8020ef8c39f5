package flow_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"anyport/config"
	"anyport/proxy/flow"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

func TestAmplification(t *testing.T) {
	type step struct {
		toOrigin int // bytes of the client, or
		toClient int // bytes of the origin
		want     route.Verdict
	}
	const yes, no = route.Forwarded, route.Amplified
	turn := []step{{0, 0, yes}, {1, 0, yes}}
	for _, test := range []struct {
		name   string
		off    bool
		budget config.Rate
		steps  []step
	}{
		{"three times what came", false, 0, []step{{0, 300, yes}, {0, 1, no}, {0, 0, yes}}},
		{"in pieces", false, 0, []step{{0, 200, yes}, {0, 101, no}, {0, 100, yes}, {0, 1, no}}},
		{"more came before any reply", false, 0, []step{{100, 0, yes}, {0, 600, yes}, {0, 1, no}}},
		{"seven turns", false, 0, append(slices.Repeat(turn, 7), step{0, 60000, no})},
		{"eight turns", false, 0, append(slices.Repeat(turn, 8), step{0, 60000, yes}, step{0, 60000, yes})},
		{"eight datagrams in one turn", false, 0, []step{{0, 1, yes}, {1, 0, yes}, {1, 0, yes}, {1, 0, yes}, {1, 0, yes}, {1, 0, yes}, {1, 0, yes}, {1, 0, yes}, {1, 0, yes}, {0, 60000, no}}},
		{"turns after replies that were dropped", false, 0, slices.Repeat([]step{{0, 60000, no}, {1, 0, yes}}, 9)},
		{"from the budget", false, 1000, []step{{0, 1300, yes}, {0, 1, no}}},
		{"from the budget, only what is beyond the bound", false, 1000, []step{{0, 800, yes}, {0, 500, yes}, {0, 1, no}, {1, 0, yes}, {0, 1, no}}},
		{"more than a second's worth", false, 1000, []step{{0, 1301, no}, {0, 1300, yes}}},
		{"switched off", true, 0, []step{{0, 60000, yes}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := to(originAddr)
			r.AntiAmplification, r.AmplificationBudget = !test.off, test.budget
			f, fl := began(t, r, client1, dst1, 100)
			held := uint64(0)
			for i, s := range test.steps {
				var got route.Verdict
				if s.toOrigin > 0 {
					_, got = f.datagram(fl.Key, s.toOrigin, 2)
				} else {
					_, got = f.FromOrigin(fl, make([]byte, s.toClient), 2)
				}
				if got != s.want {
					t.Fatalf("step %d %+v: %v", i+1, s, got)
				}
				if got == no {
					held += uint64(s.toClient)
				}
			}
			if got := fl.Route.Stats.Totals().HeldBack; got != held {
				t.Errorf("%d bytes counted as held back, want %d", got, held)
			}
			if want := min(held, 1); uint64(len(f.logged[slog.LevelWarn])) != want {
				t.Errorf("warned of %q, want %d lines", f.logged[slog.LevelWarn], want)
			}
		})
	}
}

// TestWarnsAgainAfterReload: a route that is loaded again logs once more that it holds
// answers back.
func TestWarnsAgainAfterReload(t *testing.T) {
	r := to(originAddr)
	r.AntiAmplification = true
	f, fl := began(t, r, client1, dst1, 1)
	f.FromOrigin(fl, make([]byte, 10), 1)
	again := *r
	f.routes.Swap(routes{dst1: &again}, []*config.Route{&again})
	for range 2 {
		got, _ := f.datagram(flow.KeyOf(client2, dst1), 1, 2)
		f.FromOrigin(got, make([]byte, 10), 2)
	}
	if len(f.logged[slog.LevelWarn]) != 2 {
		t.Errorf("warned %d times, want once for each load", len(f.logged[slog.LevelWarn]))
	}
}

// TestLongest: a datagram has an end, and a header before it shortens the rest.
func TestLongest(t *testing.T) {
	origin6 := netip.MustParseAddrPort("[2001:db8:5::5]:9000")
	for _, test := range []struct {
		kind           config.ProxyProtocol
		origin         netip.AddrPort
		client, dst    netip.AddrPort
		longest, after int // of the first datagram, of the second
	}{
		{config.ProxyOff, originAddr, client1, dst1, 65507, 65507},
		{config.ProxyOff, origin6, client6, dst6, 65527, 65527},
		{config.ProxyOff, originAddr, client6, dst6, 65507, 65507},
		{config.ProxyV2, originAddr, client1, dst1, 65507 - 28, 65507 - 28},
		{config.ProxyV2, originAddr, client6, dst6, 65507 - 52, 65507 - 52},
		{config.ProxyV2First, originAddr, client1, dst1, 65507 - 28, 65507},
		{config.ProxySPP, originAddr, client1, dst1, 65507 - 38, 65507 - 38},
	} {
		r := to(test.origin)
		r.ProxyProtocol = test.kind
		f, fl := began(t, r, test.client, test.dst, 0)
		check := func(longest int) {
			t.Helper()
			if _, v := f.datagram(fl.Key, longest, 2); v != route.Forwarded {
				t.Errorf("%s to %v: %d bytes: %v", test.kind, test.origin, longest, v)
			}
			if _, v := f.datagram(fl.Key, longest+1, 2); v != route.TooLarge {
				t.Errorf("%s to %v: %d bytes: %v", test.kind, test.origin, longest+1, v)
			}
		}
		check(test.longest)
		fl.Settle(route.ToOrigin, route.SendFailed, 1, 0) // the kernel did not take it: the header is still owed
		check(test.longest)
		fl.Settle(route.ToOrigin, route.Forwarded, 1, 0)
		check(test.after)
	}
}

// TestReplyTooLarge: what an IPv6 origin can send may be too long for IPv4.
func TestReplyTooLarge(t *testing.T) {
	f, fl := began(t, to(netip.MustParseAddrPort("[2001:db8:5::5]:9000")), client1, dst1, 1)
	if _, v := f.FromOrigin(fl, make([]byte, 65507), 2); v != route.Forwarded {
		t.Errorf("65507 bytes: %v", v)
	}
	if _, v := f.FromOrigin(fl, make([]byte, 65508), 2); v != route.TooLarge {
		t.Errorf("65508 bytes: %v", v)
	}
}

// TestBytesThatLeft: what the kernel refused is not among the bytes of the record.
func TestBytesThatLeft(t *testing.T) {
	f, fl := began(t, to(originAddr), client1, dst1, 10)
	f.datagram(fl.Key, 1000, 2)
	f.FromOrigin(fl, make([]byte, 7), 2)
	f.FromOrigin(fl, make([]byte, 700), 2)
	fl.Settle(route.ToOrigin, route.Forwarded, 1, 10)
	fl.Settle(route.ToOrigin, route.SendFailed, 1, 1000)
	fl.Settle(route.ToClient, route.Forwarded, 1, 7)
	fl.Settle(route.ToClient, route.SendFailed, 1, 700)
	f.endAll(route.IdleTimedOut, 3)
	if got := f.records[0]; got.Sent[route.ToOrigin].Bytes != 10 || got.Sent[route.ToClient].Bytes != 7 {
		t.Errorf("the record has %d bytes to the origin and %d to the client, want 10 and 7", got.Sent[route.ToOrigin].Bytes, got.Sent[route.ToClient].Bytes)
	}
	bytes := f.routes.Set().Routes[0].Stats.Totals().Bytes[config.UDP]
	if bytes[route.ToOrigin] != 10 || bytes[route.ToClient] != 7 {
		t.Errorf("counted %v", bytes)
	}
}

// FuzzSPPReply: whatever an origin sends, only what stands behind the flow's own
// header reaches the client.
func FuzzSPPReply(f *testing.F) {
	own, err := header.Datagram(config.ProxySPP, client1, dst1)
	if err != nil {
		f.Fatal(err)
	}
	foreign, err := header.Datagram(config.ProxySPP, client2, dst1)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{
		nil, []byte("garbage"), own, own[:37], append(own[:38:38], "payload"...), foreign, append(foreign, "x"...),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		r := to(originAddr)
		r.ProxyProtocol = config.ProxySPP
		table, fl := began(t, r, client1, dst1, 1)
		got, verdict := table.FromOrigin(fl, reply, 2)
		switch {
		case len(reply) < len(own) || !bytes.Equal(reply[:len(own)], own):
			if verdict != route.BadHeader || got != nil {
				t.Errorf("%x: %v, passed on %x", reply, verdict, got)
			}
		case len(reply)-len(own) > 65507:
			if verdict != route.TooLarge {
				t.Errorf("%d bytes: %v", len(reply), verdict)
			}
		case verdict != route.Forwarded || !bytes.Equal(got, reply[len(own):]):
			t.Errorf("%x: %v, passed on %x", reply, verdict, got)
		}
	})
}

// TestFlowSize: one word more costs each flow 32 bytes.
func TestFlowSize(t *testing.T) {
	ofFlow, ofClient, ofEntry := flow.Sizes[testSockets]()
	if ofFlow > 288 {
		t.Errorf("a flow takes %d bytes: the next size that Go allocates is 320", ofFlow)
	}
	if ofClient > 96 {
		t.Errorf("a client takes %d bytes: the next size that Go allocates is 112", ofClient)
	}
	if ofEntry > 48 {
		t.Errorf("an entry of an eviction order takes %d bytes: the next size that Go allocates is 64", ofEntry)
	}
}
