package udp

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"anyport/proxy/datagram"
)

func TestRelay(t *testing.T) {
	noLeaks(t)
	for _, addr := range []string{"127.0.0.1", "::1"} {
		origin, client := newPeer(t, addr), newPeer(t, addr)
		origin.echo()
		p := serve(t, to(origin.addr()), addr)
		for _, size := range []int{0, 1, 1472, 1473, 9000, 65507} {
			payload := bytes.Repeat([]byte("anyport "), size/8+1)[:size]
			client.send(payload, p.dsts[0])
			client.expect(payload, p.dsts[0])
		}
	}
}

// TestFragments is TestRelay where everything above 1,472 bytes is fragmented.
func TestFragments(t *testing.T) {
	if inNamespace(t) {
		setMTU(t, 1500)
		TestRelay(t)
	}
}

// TestBurst: more than one batch waits, and all of it passes in order.
func TestBurst(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	listeners, dsts := listen(t, "127.0.0.1")
	const n = datagram.BatchSize + datagram.BatchSize/2
	for i := range n {
		client.send(fmt.Append(nil, i), dsts[0])
	}
	serveOn(t, Options{Listeners: listeners, Routes: live(to(origin.addr()), dsts...)}, dsts)
	var flow netip.AddrPort
	for i := range n {
		got, from := origin.receive()
		if string(got) != fmt.Sprint(i) {
			t.Fatalf("datagram %d is %q", i, got)
		}
		flow = from
	}
	for i := range n {
		origin.send(fmt.Append(nil, i), flow)
	}
	for i := range n {
		client.expect(fmt.Append(nil, i), dsts[0])
	}
}

// TestFlowsApart: two clients and two dsts are four flows. Each origin socket
// answers its own client, from its own dst.
func TestFlowsApart(t *testing.T) {
	noLeaks(t)
	origin := newPeer(t, "127.0.0.1")
	p := serve(t, to(origin.addr()), "127.0.0.1", "127.0.0.2")
	clients := []peer{newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")}
	flows := map[netip.AddrPort]string{}
	for c, client := range clients {
		for d, dst := range p.dsts {
			name := fmt.Sprintf("client %d to dst %d", c, d)
			client.send([]byte(name), dst)
			got, from := origin.receive()
			if string(got) != name {
				t.Fatalf("the origin received %q, want %q", got, name)
			}
			flows[from] = name
		}
	}
	if len(flows) != 4 {
		t.Fatalf("%d flows at the origin, want 4", len(flows))
	}
	for from, name := range flows {
		origin.send([]byte(name), from)
	}
	for c, client := range clients {
		for range p.dsts {
			got, from := client.receive()
			want := fmt.Sprintf("client %d to dst %d", c, indexOf(p.dsts, from))
			if string(got) != want {
				t.Errorf("%q came from %v, which makes it %q", got, from, want)
			}
		}
	}
}

func indexOf(dsts []netip.AddrPort, a netip.AddrPort) int {
	for i, dst := range dsts {
		if dst == a {
			return i
		}
	}
	return -1
}
