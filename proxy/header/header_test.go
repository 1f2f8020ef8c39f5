package header

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/config"
)

var (
	client4 = netip.MustParseAddrPort("198.51.100.7:4711")
	dst4    = netip.MustParseAddrPort("192.0.2.1:53")
	client6 = netip.MustParseAddrPort("[2001:db8:9::7]:4711")
	dst6    = netip.MustParseAddrPort("[2001:db8:1::1]:65535")
)

// signature begins every v2 header (haproxy's proxy-protocol.txt §2.2).
const signature = "0d0a0d0a000d0a515549540a "

// unhex reads hexadecimal with blanks in it.
func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStreamBytes(t *testing.T) {
	for _, test := range []struct {
		kind        config.ProxyProtocol
		client, dst netip.AddrPort
		want        []byte
	}{
		{config.ProxyOff, client4, dst4, nil},
		{config.ProxyV1, client4, dst4, []byte("PROXY TCP4 198.51.100.7 192.0.2.1 4711 53\r\n")},
		{config.ProxyV1, client6, dst6, []byte("PROXY TCP6 2001:db8:9::7 2001:db8:1::1 4711 65535\r\n")},
		{config.ProxyV2, client4, dst4, unhex(t, signature+"21 11 000c c6336407 c0000201 1267 0035")},
		{config.ProxyV2, client6, dst6, unhex(t, signature+"21 21 0024"+
			"20010db8000900000000000000000007 20010db8000100000000000000000001 1267 ffff")},
	} {
		got, err := Stream(test.kind, test.client, test.dst)
		if err != nil || !bytes.Equal(got, test.want) {
			t.Errorf("%s of %v to %v: %q, %v\nwant %q", test.kind, test.client, test.dst, got, err, test.want)
		}
	}
}

func TestDatagramBytes(t *testing.T) {
	v2 := unhex(t, signature+"21 12 000c c6336407 c0000201 1267 0035")
	for _, test := range []struct {
		kind        config.ProxyProtocol
		client, dst netip.AddrPort
		want        []byte
	}{
		{config.ProxyOff, client4, dst4, nil},
		{config.ProxyV2, client4, dst4, v2},
		{config.ProxyV2First, client4, dst4, v2},
		{config.ProxyV2, client6, dst6, unhex(t, signature+"21 22 0024"+
			"20010db8000900000000000000000007 20010db8000100000000000000000001 1267 ffff")},
		{config.ProxySPP, client4, dst4, unhex(t, "56ec"+
			"00000000000000000000ffffc6336407 00000000000000000000ffffc0000201 1267 0035")},
		{config.ProxySPP, client6, dst6, unhex(t, "56ec"+
			"20010db8000900000000000000000007 20010db8000100000000000000000001 1267 ffff")},
	} {
		got, err := Datagram(test.kind, test.client, test.dst)
		if err != nil || !bytes.Equal(got, test.want) {
			t.Errorf("%s of %v to %v: %x, %v\nwant %x", test.kind, test.client, test.dst, got, err, test.want)
		}
	}
}

// TestLibraryReadsBack: an origin that uses go-proxyproto sees who the client is.
func TestLibraryReadsBack(t *testing.T) {
	for _, test := range []struct {
		make        func(config.ProxyProtocol, netip.AddrPort, netip.AddrPort) ([]byte, error)
		kind        config.ProxyProtocol
		client, dst netip.AddrPort
	}{
		{Stream, config.ProxyV1, client4, dst4}, {Stream, config.ProxyV1, client6, dst6},
		{Stream, config.ProxyV2, client4, dst4}, {Stream, config.ProxyV2, client6, dst6},
		{Datagram, config.ProxyV2, client4, dst4}, {Datagram, config.ProxyV2, client6, dst6},
	} {
		b, err := test.make(test.kind, test.client, test.dst)
		if err != nil {
			t.Fatal(err)
		}
		h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			t.Fatalf("%s of %v: %v", test.kind, test.client, err)
		}
		client, dst := addrPort(h.SourceAddr), addrPort(h.DestinationAddr)
		if client != test.client || dst != test.dst {
			t.Errorf("%s: read back %v to %v, want %v to %v", test.kind, client, dst, test.client, test.dst)
		}
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	var got netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		got = a.AddrPort()
	case *net.UDPAddr:
		got = a.AddrPort()
	}
	return netip.AddrPortFrom(got.Addr().Unmap(), got.Port())
}

// TestNoHeader: what can't be named is an error, never LOCAL or UNKNOWN.
func TestNoHeader(t *testing.T) {
	for _, test := range []struct {
		name        string
		make        func(config.ProxyProtocol, netip.AddrPort, netip.AddrPort) ([]byte, error)
		kind        config.ProxyProtocol
		client, dst netip.AddrPort
	}{
		{"v1 of two families", Stream, config.ProxyV1, client4, dst6},
		{"v2 of two families", Stream, config.ProxyV2, client6, dst4},
		{"v2 of two families", Datagram, config.ProxyV2, client4, dst6},
		{"no client", Stream, config.ProxyV2, netip.AddrPort{}, dst4},
		{"no dst", Datagram, config.ProxyV2First, client4, netip.AddrPort{}},
		{"v1 for datagrams", Datagram, config.ProxyV1, client4, dst4},
		{"v2-first for a conn", Stream, config.ProxyV2First, client4, dst4},
		{"spp for a conn", Stream, config.ProxySPP, client4, dst4},
		{"a kind that is none", Stream, "v3", client4, dst4},
	} {
		if b, err := test.make(test.kind, test.client, test.dst); err == nil {
			t.Errorf("%s: %q, want an error", test.name, b)
		}
	}
}
