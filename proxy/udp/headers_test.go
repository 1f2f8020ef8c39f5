package udp

import (
	"bufio"
	"bytes"
	"net/netip"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

func TestProxyHeaders(t *testing.T) {
	noLeaks(t)
	for _, addr := range []string{"127.0.0.1", "::1"} {
		for _, test := range []struct {
			kind config.ProxyProtocol
			want []bool // whether the header stands before the datagram
		}{
			{config.ProxyV2, []bool{true, true, true}},
			{config.ProxyV2First, []bool{true, false, false}},
			{config.ProxySPP, []bool{true, true, true}},
		} {
			origin, client := newPeer(t, addr), newPeer(t, addr)
			r := to(origin.addr())
			r.ProxyProtocol = test.kind
			p := serve(t, r, addr)
			for i := range test.want {
				client.send([]byte{byte(i)}, p.dsts[0])
			}
			for i, headed := range test.want {
				got, _ := origin.receive()
				if headed {
					got = cutHeader(t, got, client.addr(), p.dsts[0])
				}
				if !bytes.Equal(got, []byte{byte(i)}) {
					t.Errorf("%s: datagram %d has the payload %x", test.kind, i, got)
				}
			}
		}
	}
}

// cutHeader reads a PROXY v2 or SPP header, checks whom it names, and returns the rest.
func cutHeader(t *testing.T, b []byte, client, dst netip.AddrPort) []byte {
	t.Helper()
	if gotClient, gotDst, payload, err := header.ParseSPP(b); err == nil {
		if gotClient != client || gotDst != dst {
			t.Errorf("the header names %v and %v, want %v and %v", gotClient, gotDst, client, dst)
		}
		return payload
	}
	reader := bufio.NewReader(bytes.NewReader(b))
	h, err := proxyproto.Read(reader)
	check(t, err)
	from, to, ok := h.UDPAddrs()
	if !ok || from.AddrPort() != client || to.AddrPort() != dst {
		t.Errorf("the header names %v and %v, want %v and %v", from, to, client, dst)
	}
	rest := make([]byte, reader.Buffered())
	_, _ = reader.Read(rest)
	return rest
}

func TestSPPReplies(t *testing.T) {
	noLeaks(t)
	origin, client := newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")
	r := to(origin.addr())
	r.ProxyProtocol = config.ProxySPP
	p := serve(t, r, "127.0.0.1")
	client.send([]byte("hello"), p.dsts[0])
	got, flow := origin.receive()
	own := got[:header.SPPSize]
	foreign, err := header.Datagram(config.ProxySPP, client2, p.dsts[0])
	check(t, err)
	for _, bad := range [][]byte{{}, []byte("no header, but long enough to hold a whole one"), own[:37], append(foreign, "stolen"...)} {
		origin.send(bad, flow)
	}
	origin.send(append(own[:38:38], "answer"...), flow)
	client.expect([]byte("answer"), p.dsts[0]) // and nothing before it
	if n := p.totals().Datagrams[route.ToClient][route.BadHeader]; n != 4 {
		t.Errorf("%d replies counted as %v, want 4", n, route.BadHeader)
	}
}
