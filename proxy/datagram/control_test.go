package datagram

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
)

// message spells one control message, padded as the kernel pads it.
func message(level, kind int32, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

func origDst(a string) []byte {
	addr := netip.MustParseAddrPort(a)
	s := call.EndpointOf(addr).Sockaddr()
	if addr.Addr().Is4() {
		return message(unix.SOL_IP, unix.IP_ORIGDSTADDR, s.Bytes())
	}
	return message(unix.SOL_IPV6, unix.IPV6_ORIGDSTADDR, s.Bytes())
}

func overflow(drops uint32) []byte {
	return message(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, binary.NativeEndian.AppendUint32(nil, drops))
}

func TestParseControl(t *testing.T) {
	strange := message(unix.SOL_SOCKET, unix.SO_TIMESTAMP, make([]byte, 16))
	for _, test := range []struct {
		name  string
		in    []byte
		dst   string // "" = not ok
		drops uint32
	}{
		{"IPv4", origDst("192.0.2.1:53"), "192.0.2.1:53", 0},
		{"IPv6", origDst("[2001:db8::1]:65535"), "[2001:db8::1]:65535", 0},
		{"drops first", append(overflow(7), origDst("192.0.2.1:53")...), "192.0.2.1:53", 7},
		{"drops last", append(origDst("192.0.2.1:53"), overflow(1<<32-1)...), "192.0.2.1:53", 1<<32 - 1},
		{"something else", append(strange, origDst("192.0.2.1:53")...), "192.0.2.1:53", 0},
		{"no dst", overflow(7), "", 7},
		{"nothing", nil, "", 0},
		{"cut off", origDst("192.0.2.1:53")[:20], "", 0},
		{"a family of its own", message(unix.SOL_IP, unix.IP_ORIGDSTADDR, make([]byte, 16)), "", 0},
		{"no address in it", message(unix.SOL_IP, unix.IP_ORIGDSTADDR, nil), "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parseControl(test.in)
			if ok != (test.dst != "") || got.Drops != test.drops {
				t.Fatalf("got %+v, %v", got, ok)
			}
			if ok && got.Dst.AddrPort() != netip.MustParseAddrPort(test.dst) {
				t.Errorf("dst %v, want %v", got.Dst.AddrPort(), test.dst)
			}
		})
	}
}

func FuzzControl(f *testing.F) {
	f.Add(origDst("192.0.2.1:53"))
	f.Add(append(overflow(7), origDst("[2001:db8::1]:65535")...))
	f.Add(origDst("192.0.2.1:53")[:20])
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 20, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := parseControl(b)
		if !ok {
			return
		}
		// There is a dst, so its bytes are in b as the kernel would write them.
		s := c.Dst.Sockaddr()
		port, addr := s.Bytes()[2:4], c.Dst.Addr[:]
		if netip.AddrFrom16(c.Dst.Addr).Is4In6() {
			addr = c.Dst.Addr[12:]
		}
		if !bytes.Contains(b, port) || !bytes.Contains(b, addr) {
			t.Errorf("%v is not in %x", c.Dst.AddrPort(), b)
		}
	})
}

func TestEndpoint(t *testing.T) {
	for _, text := range []string{"192.0.2.1:53", "[2001:db8::1]:65535", "0.0.0.0:0", "[::]:1"} {
		want := netip.MustParseAddrPort(text)
		s := call.EndpointOf(want).Sockaddr()
		got, ok := call.ParseSockaddr(s.Bytes())
		if !ok || got != call.EndpointOf(want) || got.AddrPort() != want {
			t.Errorf("%v came back as %v, %v", want, got.AddrPort(), ok)
		}
		if _, ok := call.ParseSockaddr(s.Bytes()[:len(s.Bytes())-1]); ok {
			t.Errorf("%v was read from too few bytes", want)
		}
	}
}

// TestEndpointMapped: an IPv4 client of a socket of both families, and of an IPv4
// one, is the same client.
func TestEndpointMapped(t *testing.T) {
	var s [unix.SizeofSockaddrInet6]byte
	binary.NativeEndian.PutUint16(s[:], unix.AF_INET6)
	binary.BigEndian.PutUint16(s[2:], 4000)
	mapped := netip.MustParseAddr("::ffff:198.51.100.1").As16()
	copy(s[8:], mapped[:])
	if got, ok := call.ParseSockaddr(s[:]); !ok || got != call.EndpointOf(client1) {
		t.Errorf("got %v, want %v", got, call.EndpointOf(client1))
	}
}

// TestEndpointZone: a link-local client is answered through the interface it came by.
func TestEndpointZone(t *testing.T) {
	e := call.EndpointOf(netip.MustParseAddrPort("[fe80::1]:4000"))
	e.Zone = 7
	s := e.Sockaddr()
	if got, _ := call.ParseSockaddr(s.Bytes()); got != e {
		t.Errorf("got %v, want %v", got, e)
	}
}
