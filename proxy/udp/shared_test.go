package udp

import (
	"fmt"
	"net/netip"
	"testing"

	"anyport/config"
	"anyport/proxy/flow"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

// serveSPP runs a proxy in front of an origin that flows share sockets to.
func serveSPP(t *testing.T, origin peer, addrs ...string) *proxy {
	t.Helper()
	r := to(origin.addr())
	r.ProxyProtocol = config.ProxySPP
	return serve(t, r, addrs...)
}

// TestSharedSockets: many flows use few sockets, any of which brings every flow's
// answers: each to its client, from its dst.
func TestSharedSockets(t *testing.T) {
	noLeaks(t)
	for _, addr := range []string{"127.0.0.1", "::1"} {
		origin := newPeer(t, addr)
		p := serveSPP(t, origin, addr)
		var clients []peer
		var answers [][]byte
		sources := map[netip.AddrPort]bool{}
		for i := range 20 {
			clients = append(clients, newPeer(t, addr))
			clients[i].send(fmt.Append(nil, i), p.dsts[0])
			got, from := origin.receive()
			if payload := cutHeader(t, got, clients[i].addr(), p.dsts[0]); string(payload) != fmt.Sprint(i) {
				t.Errorf("the origin received %q of client %d", payload, i)
			}
			sources[from] = true
			answers = append(answers, got)
		}
		if len(sources) > sharedPerOrigin {
			t.Errorf("%d sockets, want at most %d", len(sources), sharedPerOrigin)
		}
		for source := range sources {
			for _, answer := range answers {
				origin.send(answer, source)
			}
			for i, client := range clients {
				client.expect(fmt.Append(nil, i), p.dsts[0])
			}
		}
	}
}

// TestSharedSocketChecksSender: what comes from elsewhere than the flow's origin, or names
// no live flow, reaches no client.
func TestSharedSocketChecksSender(t *testing.T) {
	noLeaks(t)
	origin, client, thief := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	p := serveSPP(t, origin, "127.0.0.1")
	client.send([]byte("hello"), p.dsts[0])
	got, source := origin.receive()
	own := got[:header.SPPSize]
	nobody, err := header.Datagram(config.ProxySPP, client2, p.dsts[0])
	check(t, err)
	thief.send(append(own[:38:38], "another port"...), source)
	thief.send(nil, source)
	elsewhere := newPeer(t, "127.0.0.9")
	elsewhere.send(append(own[:38:38], "another address"...), source)
	origin.send(append(nobody, "nobody's"...), source)
	waitFor(t, "all to be dropped", func() bool { return p.totals().Datagrams[route.ToClient][route.BadHeader] == 4 })
	origin.send(append(own[:38:38], "answer"...), source)
	client.expect([]byte("answer"), p.dsts[0]) // and nothing before it
}

// newSharing returns a loop, and what makes flows for it that may share sockets.
func newSharing(t *testing.T) (*loop, func(to netip.AddrPort) *liveFlow) {
	t.Helper()
	listeners, _ := listen(t, "127.0.0.1")
	r := to(originAddr)
	r.ProxyProtocol = config.ProxySPP
	l, clients := newTestLoop(t, listeners[0], Options{Routes: live(r, dst1)}), client1
	return l, func(to netip.AddrPort) *liveFlow {
		clients = netip.AddrPortFrom(clients.Addr(), clients.Port()+1)
		f := l.admit(flow.KeyOf(clients, dst1), nil, 1)
		l.flows.PickOrigin(f, nil, 1)
		check(t, l.openSocket(f, to))
		return f
	}
}

// TestSharedSocketEnds: the last flow closes the socket.
func TestSharedSocketEnds(t *testing.T) {
	l, begin := newSharing(t)
	files := countFiles(t)
	var flows []*liveFlow
	for range 2 * sharedPerOrigin {
		flows = append(flows, begin(originAddr))
	}
	if n := countFiles(t) - files; n != sharedPerOrigin {
		t.Errorf("%d sockets for %d flows, want %d", n, len(flows), sharedPerOrigin)
	}
	for _, f := range flows {
		l.closeOrigin(&f.Sockets)
	}
	if n := countFiles(t) - files; n != 0 || len(l.shared) != 0 {
		t.Errorf("%d sockets and %d entries are left", n, len(l.shared))
	}
}

// TestSharedSocketIsNotItsOrigin: a flow whose origin is on this host is not given the
// socket that has the origin's port.
func TestSharedSocketIsNotItsOrigin(t *testing.T) {
	l, begin := newSharing(t)
	first := begin(originAddr)
	defer l.closeOrigin(&first.Sockets)
	for range 2 * sharedPerOrigin {
		f := begin(netip.AddrPortFrom(originAddr.Addr(), first.Sockets.shared.port))
		defer l.closeOrigin(&f.Sockets)
		if f.Sockets.shared == first.Sockets.shared {
			t.Fatal("a flow would send to itself")
		}
	}
}
