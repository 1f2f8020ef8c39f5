package integration

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// TestAcceptProxyWith combines accept_proxy with egress_prefixes, anti_amplification and a drain: the
// datagrams leave from the egress prefix and their answers return, one peer's socket carries the flows of
// its client, what a client has not asked for is held back, and a drain refuses new conns and flows while
// those that are live go on, also a conn whose header is not whole yet. An upgrade in between changes
// nothing.
func TestAcceptProxyWith(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.route(t, "10.9.0.0/24", "10.0.0.1")
	r.client.route(t, "203.0.113.0/24", edgeV4)
	from := make(chan netip.AddrPort, 100)
	r.origin.answerTo(t, "10.0.0.5:4000", func(datagram []byte, asked netip.AddrPort) []byte {
		select {
		case from <- asked:
		default:
		}
		return witnessDatagram(datagram)
	})
	r.origin.answerTo(t, "10.0.0.5:4001", func(datagram []byte, _ netip.AddrPort) []byte {
		return append(bytes.Clone(datagram), make([]byte, 1000)...)
	})
	r.origin.serve(t, "10.0.0.5:4000", witness)
	p := r.edge.serveWith(t, acceptWithFile)
	f := newFamily(t, p)
	egress := netip.MustParsePrefix("10.9.0.0/24")
	head := inboundHeader(t, 2, "udp", "4")
	flow := r.client.dial(t, "udp", dstV4+":4000")
	asks := func(conn net.Conn, what string) {
		t.Helper()
		question := "a question of some length, so that its answer is no amplification: " + what
		want := expected("udp4", namedClient["4"], namedDst["4"], question)
		if got := trade(t, conn, head+question); got != want {
			t.Errorf("%s: answered %q, want %q", what, got, want)
		}
		if asked := <-from; !egress.Contains(asked.Addr()) {
			t.Errorf("%s: the origin was asked from %v, which is not in %v", what, asked, egress)
		}
	}
	asks(flow, "at first")
	half := r.client.dial(t, "tcp", dstV4+":4000")
	text := inboundHeader(t, 2, "tcp", "4")
	io.WriteString(half, text[:20])
	eventually(t, "the conn waits for its header", func() bool { return p.status(t).route(t, "in").ConnsActive == 2 })

	held := r.client.dial(t, "udp", "203.0.113.7:4001")
	io.WriteString(held, head+"short")
	eventually(t, "the answer is held back", func() bool { return p.status(t).route(t, "held").Datagrams["to_client"]["amplified"] > 0 })
	held.SetReadDeadline(time.Now().Add(silence / 10))
	if n, err := held.Read(make([]byte, 2000)); err == nil {
		t.Errorf("%d bytes of an answer that the budget does not cover", n)
	}

	f.upgrade(t)
	asks(flow, "after an upgrade")
	if got := anyport(t, "drain", "--route", "in", "--socket", p.socket); got.status != 0 {
		t.Fatalf("drain: %+v", got)
	}
	asks(flow, "while the route drains")
	if got, want := trade(t, half, text[20:]+"question\n"), expected("tcp4", namedClient["4"], namedDst["4"], "question\n"); got != want {
		t.Errorf("a conn whose header ends while the route drains: %q, want %q", got, want)
	}
	if conn, err := r.client.tryDial("tcp", "", dstV4+":4000"); err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
		if err == nil {
			conn.Close()
		}
		t.Errorf("a new conn while the route drains: %v", err)
	}
	late := r.client.dial(t, "udp", dstV4+":4000")
	io.WriteString(late, head+"late")
	late.SetReadDeadline(time.Now().Add(silence))
	if n, err := late.Read(make([]byte, 2000)); err == nil {
		t.Errorf("a new flow while the route drains: %d bytes", n)
	}
	asks(flow, "after a new one was refused")
	if got := anyport(t, "drain", "--route", "in", "--undo", "--socket", p.socket); got.status != 0 {
		t.Fatalf("drain --undo: %+v", got)
	}
	asks(r.client.dial(t, "udp", dstV4+":4000"), "after the drain")
}

const acceptWithFile = `[route.in]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
proxy_protocol = "v2"
accept_proxy = ["198.51.100.0/24"]
egress_prefixes = ["10.9.0.0/24"]
header_timeout = "1m"
[route.held]
protocol = "udp"
prefixes = ["203.0.113.0/24"]
origins  = ["10.0.0.5:4001"]
accept_proxy = ["198.51.100.0/24"]
amplification_budget = "0B/s"
`
