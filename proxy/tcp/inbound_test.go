package tcp_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
)

var (
	namedClient = netip.MustParseAddrPort("198.51.100.7:4711")
	namedDst    = netip.MustParseAddrPort("192.0.2.1:443")
	namedV1     = fmt.Sprintf("PROXY TCP4 %v %v %d %d\r\n", namedClient.Addr(), namedDst.Addr(), namedClient.Port(), namedDst.Port())
)

// accepts is a route to origins that requires a header of peers of 127.0.0.1.
func accepts(origins ...string) *config.Route {
	r := forward(origins...)
	r.AcceptProxy = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	r.Header = patience
	return r
}

// namedV2 is a v2 header, with TLVs, that names the client.
func namedV2(t *testing.T, tlvs ...byte) string {
	t.Helper()
	h, err := header.Stream(config.ProxyV2, namedClient, namedDst)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint16(h[14:], uint16(len(h)-16+len(tlvs)))
	return string(append(h, tlvs...))
}

// readHeader reads the header that an origin gets, and nothing after it.
func readHeader(t *testing.T, c net.Conn) *proxyproto.Header {
	t.Helper()
	b := make([]byte, 16)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	b = append(b, make([]byte, binary.BigEndian.Uint16(b[14:]))...)
	if _, err := io.ReadFull(c, b[16:]); err != nil {
		t.Fatal(err)
	}
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestInboundHeader: the client that a header names is recorded, and named to the origin; what follows
// the header is payload, all of it, wherever the bytes are cut.
func TestInboundHeader(t *testing.T) {
	addr, conns := accepting(t)
	r := accepts(addr)
	r.ProxyProtocol = config.ProxyV2
	p := serve(t, r)
	v2 := namedV2(t)
	for name, pieces := range map[string][]string{
		"v1 with payload":           {namedV1 + "hello"},
		"v1, then payload":          {namedV1, "hello"},
		"v1 in two":                 {namedV1[:11], namedV1[11:] + "hello"},
		"v1, CR and LF apart":       {namedV1[:len(namedV1)-1], "\nhello"},
		"v2 with payload":           {v2 + "hello"},
		"v2 in two":                 {v2[:5], v2[5:] + "hello"},
		"v2, its addresses in two":  {v2[:20], v2[20:] + "hello"},
		"v2, payload looks like v1": {v2, "hello"},
	} {
		client := p.dial()
		for i, piece := range pieces {
			if i > 0 {
				time.Sleep(20 * time.Millisecond) // so that the proxy looks at the first piece alone
			}
			say(t, client, piece)
		}
		origin := <-conns
		if h := readHeader(t, origin); h.SourceAddr.String() != namedClient.String() || h.DestinationAddr.String() != namedDst.String() {
			t.Errorf("%s: the origin hears of %v and %v", name, h.SourceAddr, h.DestinationAddr)
		}
		hear(t, origin, "hello")
		say(t, origin, "fine")
		hear(t, client, "fine")
		client.CloseWrite()
		hearFIN(t, origin)
		origin.CloseWrite()
		got := p.ends(route.Closed)
		if got.Client != namedClient || got.Peer.String() != client.LocalAddr().String() || got.Dst.String() != p.addr || got.Sent[route.ToOrigin].Bytes != 5 || got.Sent[route.ToClient].Bytes != 4 {
			t.Errorf("%s: recorded %+v", name, got)
		}
	}
}

// TestInboundByteByByte: the header of a server-first protocol comes in bytes, and nothing after it.
func TestInboundByteByByte(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, accepts(addr))
	for _, head := range []string{namedV1, namedV2(t)} {
		client := p.dial()
		client.SetNoDelay(true)
		for i := range head {
			say(t, client, head[i:i+1])
			time.Sleep(time.Millisecond)
		}
		origin := <-conns
		say(t, origin, "220 ready")
		hear(t, client, "220 ready")
		reset(client)
		if got := p.ends(route.ResetByClient); got.Client != namedClient {
			t.Errorf("recorded %+v", got)
		}
	}
}

// TestInboundLongest: a header of 16 + 65,535 bytes fits the receive buffer, however slowly it comes.
func TestInboundLongest(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, accepts(addr))
	noop := make([]byte, 65535-12)
	noop[0] = 0x04
	binary.BigEndian.PutUint16(noop[1:], uint16(len(noop)-3))
	head := namedV2(t, noop...)
	if len(head) != header.MaxInbound {
		t.Fatalf("the header has %d bytes", len(head))
	}
	client := p.dial()
	for len(head) > 0 {
		n := min(len(head), 1000)
		say(t, client, head[:n])
		head = head[n:]
		time.Sleep(time.Millisecond)
	}
	origin := <-conns
	for range 3 { // the kernel reports small reads again
		say(t, client, "hello")
		hear(t, origin, "hello")
	}
	reset(client)
	if got := p.ends(route.ResetByClient); got.Client != namedClient || got.Sent[route.ToOrigin].Bytes != 15 {
		t.Errorf("recorded %+v", got)
	}
}

// TestInboundUnnamed: a header that names nobody leaves the conn its own addresses.
func TestInboundUnnamed(t *testing.T) {
	addr, conns := accepting(t)
	r := accepts(addr)
	r.ProxyProtocol = config.ProxyV2
	p := serve(t, r)
	sig := namedV2(t)[:12]
	for name, head := range map[string]string{
		"UNKNOWN":                 "PROXY UNKNOWN\r\n",
		"UNKNOWN with addresses":  "PROXY UNKNOWN 1 2 3 4\r\n",
		"LOCAL":                   sig + "\x20\x00\x00\x00",
		"LOCAL with addresses":    sig + "\x20\x11\x00\x0c" + namedV2(t)[16:],
		"UNSPEC":                  sig + "\x21\x00\x00\x05abcde",
		"UDP, where TCP is asked": sig + "\x21\x12\x00\x0c" + namedV2(t)[16:],
	} {
		client := p.dial()
		say(t, client, head+"hello")
		origin := <-conns
		if h := readHeader(t, origin); h.SourceAddr.String() != client.LocalAddr().String() || h.DestinationAddr.String() != p.addr {
			t.Errorf("%s: the origin hears of %v and %v", name, h.SourceAddr, h.DestinationAddr)
		}
		hear(t, origin, "hello")
		reset(client)
		if got := p.ends(route.ResetByClient); got.Client.String() != client.LocalAddr().String() || got.Client != got.Peer {
			t.Errorf("%s: recorded %+v", name, got)
		}
	}
}

// TestInboundRefused: without a whole, valid header no origin is dialled.
func TestInboundRefused(t *testing.T) {
	p := serve(t, accepts(origin(t, func(*net.TCPConn) { t.Error("an origin was dialled") })))
	v2 := namedV2(t)
	for name, head := range map[string]string{
		"payload":         "GET / HTTP/1.1\r\n",
		"one byte":        "x",
		"v1, no CRLF":     "PROXY UNKNOWN " + string(bytes.Repeat([]byte("x"), 107)),
		"v1, LF alone":    namedV1[:len(namedV1)-2] + "\n",
		"v1, port 65536":  "PROXY TCP4 198.51.100.7 192.0.2.1 65536 443\r\n",
		"v2, version 3":   v2[:12] + "\x31\x11\x00\x0c" + v2[16:],
		"v2, command 2":   v2[:12] + "\x22\x11\x00\x0c" + v2[16:],
		"v2, family 4":    v2[:12] + "\x21\x41\x00\x0c" + v2[16:],
		"v2, no room":     v2[:12] + "\x21\x11\x00\x0b" + v2[16:],
		"v2, TLV cut off": namedV2(t, 0xE0, 0, 9, 1),
		"v2, CRC32C":      namedV2(t, 3, 0, 4, 1, 2, 3, 4),
	} {
		client := p.dial()
		say(t, client, head)
		hearRST(t, client)
		if got := p.ends(route.BadHeader); got.Client.String() != client.LocalAddr().String() {
			t.Errorf("%s: recorded %+v", name, got)
		}
	}
	for _, cut := range []string{"", v2[:12], v2[:20], namedV1[:20]} { // FIN in the header
		client := p.dial()
		say(t, client, cut)
		client.CloseWrite()
		hearRST(t, client)
		p.ends(route.BadHeader)
	}
	client := p.dial()
	say(t, client, v2[:20])
	reset(client)
	p.ends(route.ResetByClient)
}

// TestInboundUntrusted: a peer that is not in accept_proxy is refused, whether it sends a header or not.
func TestInboundUntrusted(t *testing.T) {
	r := accepts(origin(t, func(*net.TCPConn) { t.Error("an origin was dialled") }))
	r.AcceptProxy = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	p := serve(t, r)
	p.refused()
	p.ends(route.UntrustedPeer)
	if n := p.route.Stats.Totals().Ended[config.TCP][route.UntrustedPeer]; n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
}

func TestInboundTimeout(t *testing.T) {
	r := accepts(origin(t, func(*net.TCPConn) { t.Error("an origin was dialled") }))
	r.Header = short
	p := serve(t, r)
	for _, part := range []string{"", namedV1[:20], namedV2(t)[:20]} {
		client := p.dial()
		say(t, client, part)
		hearRST(t, client)
		p.ends(route.HeaderTimedOut)
	}
}

// TestInboundRules: allow, deny and the limits per client apply to the client that is named, and not
// to the peer.
func TestInboundRules(t *testing.T) {
	addr, conns := accepting(t)
	r := accepts(addr)
	r.Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("203.0.113.0/24")}
	r.MaxConnsPerClient, r.MaxConns = 1, 2
	p := serve(t, r)
	from := func(client string) *net.TCPConn {
		c := p.dial()
		say(t, c, "PROXY TCP4 "+client+" 192.0.2.1 1 443\r\n")
		return c
	}
	first := from("198.51.100.7")
	<-conns
	hearRST(t, from("203.0.113.9"))
	if got := p.ends(route.Denied); got.Client.String() != "203.0.113.9:1" {
		t.Errorf("recorded %+v", got)
	}
	hearRST(t, from("198.51.100.7"))
	p.ends(route.OverMaxPerClient)
	second := from("198.51.100.8")
	<-conns
	p.refused()
	p.ends(route.OverMaxConns)
	reset(first)
	p.ends(route.ResetByClient)
	reset(second)
	p.ends(route.ResetByClient)
	local := p.dial() // LOCAL: the peer is the client, which deny has
	say(t, local, "PROXY UNKNOWN\r\n")
	hearRST(t, local)
	p.ends(route.Denied)
	third := from("198.51.100.7") // the place of the first is free
	<-conns
	reset(third)
	p.ends(route.ResetByClient)
}

// TestInboundMoves: a conn moves to another process within its header, and between header and dial.
func TestInboundMoves(t *testing.T) {
	addr, conns := accepting(t)
	r := accepts(addr)
	r.ProxyProtocol, r.ProxyTLVs = config.ProxyV2, []config.ProxyTLV{{Kind: config.TLVPass, First: 1, Last: 255}}
	a, b := twins(t, r)
	tlv := []byte{0xEA, 0, 5, 'h', 'e', 'l', 'l', 'o'}
	head := namedV2(t, tlv...)
	client := a.dial()
	for i := 0; i < len(head); i += 5 {
		say(t, client, head[i:min(i+5, len(head))])
		waitForConns(t, a, 1)
		if err := a.move(b, func(batch []tcp.Conn) error {
			if i+5 < len(head) && (len(batch) != 1 || len(batch[0].FDs) != 1 || !batch[0].Inbound.Naming) {
				t.Errorf("%+v moves", batch)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		a, b = b, a
	}
	origin := <-conns
	h := readHeader(t, origin)
	if raw, _ := h.TLVs(); h.SourceAddr.String() != namedClient.String() || len(raw) != 1 || string(raw[0].Value) != "hello" {
		t.Errorf("the origin hears of %v, with TLVs %v", h.SourceAddr, raw)
	}
	say(t, client, "hello")
	hear(t, origin, "hello")
	if err := a.move(b, quietly); err != nil {
		t.Fatal(err)
	}
	say(t, client, "again")
	hear(t, origin, "again")
	reset(client)
	if got := b.ends(route.ResetByClient); got.Client != namedClient || got.Peer.String() != client.LocalAddr().String() {
		t.Errorf("recorded %+v", got)
	}
	if n := len(a.records) + len(b.records); n != 0 {
		t.Errorf("%d conns more have ended", n)
	}
}

// TestInboundMovesWhileDialling: the header is in the socket, and the other process takes it out.
func TestInboundMovesWhileDialling(t *testing.T) {
	addr, conns := accepting(t)
	dials := accepts(silent(t), addr)
	dials.Connect = time.Second
	dials.Balance = config.First
	a, b := twins(t, dials)
	client := a.dial()
	say(t, client, namedV2(t)+"hello")
	for named := false; !named; time.Sleep(time.Millisecond) {
		for page := range a.live.Conns {
			named = named || len(page) == 1 && page[0].Client == namedClient
		}
	}
	if err := a.move(b, func(batch []tcp.Conn) error {
		if !batch[0].Dialling || batch[0].Inbound.Size != 28 || batch[0].Client != namedClient {
			t.Errorf("%+v moves", batch[0])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	hear(t, <-conns, "hello")
	reset(client)
	b.ends(route.ResetByClient)
}

// TestInboundMovesToNoRoute: without its route a conn has no rules for the client that it would name.
func TestInboundMovesToNoRoute(t *testing.T) {
	addr, _ := accepting(t)
	other := forward(addr)
	other.Name = "other"
	a, b := serve(t, accepts(addr)), serve(t, other)
	client := a.dial()
	say(t, client, namedV1[:10])
	waitForConns(t, a, 1)
	if err := a.move(b, quietly); err != nil {
		t.Fatal(err)
	}
	hearRST(t, client)
	b.ends(route.NoRoute)
}

// waitForConns waits until the proxy lists n conns.
func waitForConns(t *testing.T, p *proxy, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		live := 0
		for page := range p.live.Conns {
			live += len(page)
		}
		if live == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d conns live, want %d", live, n)
		}
	}
}
