package udp

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

var namedDst = netip.MustParseAddrPort("192.0.2.1:53")

// named is a datagram from a client that a header names.
func named(t *testing.T, client, payload string, tlvs ...byte) []byte {
	t.Helper()
	h, err := header.Datagram(config.ProxyV2, netip.MustParseAddrPort(client), namedDst)
	check(t, err)
	binary.BigEndian.PutUint16(h[14:], uint16(len(h)-16+len(tlvs)))
	return append(append(h, tlvs...), payload...)
}

// accepts is a route to origins that requires a header of peers of 127.0.0.0/30.
func accepts(origins ...netip.AddrPort) *config.Route {
	r := to(origins...)
	r.AcceptProxy = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/30")}
	return r
}

const carol, dave = "198.51.100.7:4711", "198.51.100.8:4711"

// TestInboundHeaders: each client that a peer names has a flow of its own, which the origin hears of
// with the named dst, and whose replies go to the peer without a header; also of datagrams that come
// as one train.
func TestInboundHeaders(t *testing.T) {
	noLeaks(t)
	for _, kind := range []config.ProxyProtocol{config.ProxyV2, config.ProxyV2First, config.ProxySPP} {
		origin, lb := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
		r := accepts(origin.addr())
		r.ProxyProtocol = kind
		p := serve(t, r, "127.0.0.1")
		train := append(named(t, carol, "ask"), named(t, dave, "ask")...)
		sendTrain(t, lb, p.dsts[0], train, len(train)/2)
		clients := map[string]netip.AddrPort{}
		for range 2 {
			b, from := origin.receive()
			for _, client := range []string{carol, dave} {
				if strings.Contains(string(b), string(netip.MustParseAddrPort(client).Addr().AsSlice())) {
					clients[client] = from
					if payload := cutHeader(t, b, netip.MustParseAddrPort(client), namedDst); string(payload) != "ask" {
						t.Errorf("%s: the origin gets %q", kind, payload)
					}
					reply := []byte("to " + client)
					if kind == config.ProxySPP {
						reply = append(b[:header.SPPSize:header.SPPSize], reply...)
					}
					origin.send(reply, from)
				}
			}
		}
		if len(clients) != 2 || clients[carol] == clients[dave] {
			t.Fatalf("%s: the origin knows of %v", kind, clients)
		}
		got := map[string]bool{}
		for range 2 {
			b, from := lb.receive()
			if got[string(b)] = true; from != p.dsts[0] {
				t.Errorf("%s: the reply comes from %v", kind, from)
			}
		}
		if !got["to "+carol] || !got["to "+dave] {
			t.Errorf("%s: the peer gets %v", kind, got)
		}
		p.stop()
		for range 2 {
			if r := p.record(t); r.Peer != lb.addr() || r.Client.String() != carol && r.Client.String() != dave || r.Dst != p.dsts[0] || r.Sent[route.ToOrigin].Bytes != 3 {
				t.Errorf("%s: recorded %+v", kind, r)
			}
		}
	}
}

// sendTrain sends datagrams of one size in one call, so that the listener gets them together.
func sendTrain(t *testing.T, p peer, to netip.AddrPort, b []byte, size int) {
	t.Helper()
	raw, err := p.SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, size)
	}))
	check(t, err)
	p.send(b, to)
}

// TestInboundPeers: a client that two peers name has a flow for each, and each gets its own replies.
func TestInboundPeers(t *testing.T) {
	noLeaks(t)
	origin, one, other := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.2")
	origin.echo()
	p := serve(t, accepts(origin.addr()), "127.0.0.1")
	for i := range 3 {
		for _, lb := range []peer{one, other} {
			text := fmt.Sprint(i, lb.addr())
			lb.send(named(t, carol, text), p.dsts[0])
			lb.expect([]byte(text), p.dsts[0])
		}
	}
	p.stop()
	if a, b := p.record(t), p.record(t); a.Client != b.Client || a.Peer == b.Peer {
		t.Errorf("recorded %+v and %+v", a, b)
	}
}

// TestInboundDropped: a datagram without a valid header, or of another peer, is dropped and counted; so
// is one of a client that deny has. None of them begins a flow.
func TestInboundDropped(t *testing.T) {
	noLeaks(t)
	origin, lb, stranger := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.9")
	origin.echo()
	r := accepts(origin.addr())
	r.Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("203.0.113.0/24")}
	p := serve(t, r, "127.0.0.1")
	good := named(t, carol, "ask")
	for _, b := range [][]byte{{}, []byte("ask"), good[:20], []byte("PROXY UNKNOWN\r\nask"), named(t, carol, "ask", 3, 0, 4, 1, 2, 3, 4)} {
		lb.send(b, p.dsts[0])
	}
	stranger.send(good, p.dsts[0])
	lb.send(named(t, "203.0.113.9:1", "ask"), p.dsts[0])
	local := append([]byte(nil), good...)
	local[12] = 0x20 // LOCAL: the peer is the client, which deny has
	lb.send(local, p.dsts[0])
	lb.send(good, p.dsts[0])
	lb.expect([]byte("ask"), p.dsts[0])
	got := p.totals().Datagrams[route.ToOrigin]
	if got[route.BadHeader] != 5 || got[route.UntrustedPeer] != 1 || got[route.Denied] != 2 || got[route.Forwarded] != 1 {
		t.Errorf("counted %v", got)
	}
}

// TestInboundTLVs: what a route passes on of the header that a flow began with is in the header of each
// datagram to the origin.
func TestInboundTLVs(t *testing.T) {
	noLeaks(t)
	origin, lb := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	r := accepts(origin.addr())
	r.ProxyProtocol, r.ProxyTLVs = config.ProxyV2, []config.ProxyTLV{{Kind: config.TLVPass, First: 0xE0, Last: 0xEF}, {Kind: config.TLVCRC32C}}
	p := serve(t, r, "127.0.0.1")
	lb.send(named(t, carol, "first", 0xE5, 0, 2, 'h', 'i'), p.dsts[0])
	lb.send(named(t, carol, "second"), p.dsts[0])
	for _, want := range []string{"first", "second"} {
		b, _ := origin.receive()
		h, err := header.ParseDatagram(b)
		if err != nil || !h.Named() || string(b[h.Size:]) != want || len(h.TLVs) != 5+7 || string(h.TLVs[:5]) != "\xe5\x00\x02hi" {
			t.Errorf("the origin gets %q: %+v, %v", b, h, err)
		}
	}
}

// TestInboundHandOver: the flow of a named client goes on in another process.
func TestInboundHandOver(t *testing.T) {
	noLeaks(t)
	origin, lb := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	origin.tellPorts()
	r := accepts(origin.addr())
	listeners, dsts := listen(t, "127.0.0.1")
	handovers := make(chan func([]Flow) error)
	old := Options{Listeners: listeners, Routes: live(r, dsts...), Handovers: handovers, Log: slog.New(slog.DiscardHandler)}
	ended := make(chan error, 1)
	go func() { ended <- Serve(context.Background(), old) }() // ends with the hand-over
	ask := func() string {
		lb.send(named(t, carol, "hello"), dsts[0])
		b, _ := lb.receive()
		return string(b)
	}
	before := ask()
	next := Options{Listeners: listeners, Routes: live(r, dsts...)}
	handovers <- func(flows []Flow) error {
		for _, f := range flows {
			check(t, f.Check(1))
		}
		next.Flows = copied(t, flows)
		return nil
	}
	check(t, <-ended)
	p := serveOn(t, next, dsts)
	if after := ask(); after != before {
		t.Errorf("%q before, %q after", before, after)
	}
	p.stop()
	if r := p.record(t); r.Client.String() != carol || r.Peer != lb.addr() || r.Sent[route.ToOrigin].Bytes != 10 {
		t.Errorf("recorded %+v", r)
	}
}

// TestInboundBegins: once a reload has its datagrams carry headers, the flow of the peer itself ends: it
// would pass the headers on as payload. So it is the other way round.
func TestInboundBegins(t *testing.T) {
	noLeaks(t)
	origin, lb := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	origin.echo()
	plain, naming := to(origin.addr()), accepts(origin.addr())
	p := serve(t, plain, "127.0.0.1")
	for _, step := range []struct {
		route *config.Route
		send  []byte
	}{{nil, []byte("ask")}, {naming, named(t, carol, "ask")}, {plain, []byte("ask")}} {
		if step.route != nil {
			p.live.Swap(routes{p.dsts[0]: step.route}, []*config.Route{step.route})
			if r := p.record(t); r.Verdict != route.NoRoute {
				t.Errorf("recorded %+v", r)
			}
		}
		lb.send(step.send, p.dsts[0])
		lb.expect([]byte("ask"), p.dsts[0])
	}
}
