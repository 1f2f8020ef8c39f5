package header_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"

	"anyport/proxy/header"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

// v2 is a header of version 2 with what follows its first 14 bytes.
func v2(command, family byte, block string) string {
	return signature + string([]byte{0x20 | command, family, byte(len(block) >> 8), byte(len(block))}) + block
}

const (
	block4 = "\xc6\x33\x64\x07\xc0\x00\x02\x01\x12\x67\x01\xbb" // 198.51.100.7:4711 → 192.0.2.1:443
	block6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x20\x01\x0d\xb8\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x12\x67\x01\xbb"
)

// TestParseStream has a case for each sentence of sections 2.1 and 2.2 that a receiver can follow or not.
func TestParseStream(t *testing.T) {
	const four, six = "198.51.100.7:4711 192.0.2.1:443", "[2001:db8::7]:4711 [2001:db8:1::1]:443"
	for _, c := range []struct{ says, header, want string }{
		{"TCP4", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n", four},
		{"TCP6", "PROXY TCP6 2001:db8::7 2001:db8:1::1 4711 443\r\n", six},
		{"upper or lower case, sets of four digits", "PROXY TCP6 2001:0DB8::0007 2001:0db8:0001::1 4711 443\r\n", six},
		{"the worst case has 107 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", nobody},
		{"no CRLF in the first 107 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", bad},
		{"the rest may be omitted", "PROXY UNKNOWN\r\n", nobody},
		{"anything before the CRLF is ignored", "PROXY UNKNOWN \x00 \n\r a\r\n", nobody},
		{"exactly one space", "PROXY  TCP4 198.51.100.7 192.0.2.1 4711 443\r\n", bad},
		{"exactly one space", "PROXY TCP4 198.51.100.7  192.0.2.1 4711 443\r\n", bad},
		{"exactly one space", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 443 \r\n", bad},
		{"only TCP4, TCP6, UNKNOWN", "PROXY UDP4 198.51.100.7 192.0.2.1 4711 443\r\n", bad},
		{"only TCP4, TCP6, UNKNOWN", "PROXY UNKNOWNS\r\n", bad},
		{"exactly 4 integers", "PROXY TCP4 198.51.100 192.0.2.1 4711 443\r\n", bad},
		{"in the range [0..255]", "PROXY TCP4 198.51.100.256 192.0.2.1 4711 443\r\n", bad},
		{"heading zeroes are not permitted", "PROXY TCP4 198.51.100.07 192.0.2.1 4711 443\r\n", bad},
		{"heading zeroes are not permitted", "PROXY TCP4 198.51.100.7 192.0.2.1 04711 443\r\n", bad},
		{"a decimal integer", "PROXY TCP4 198.51.100.7 192.0.2.1 +4711 443\r\n", bad},
		{"in the range [0..65535]", "PROXY TCP4 198.51.100.7 192.0.2.1 65536 443\r\n", bad},
		{"in the range [0..65535]", "PROXY TCP4 198.51.100.7 192.0.2.1 0 65535\r\n", "198.51.100.7:0 192.0.2.1:65535"},
		{"the family dictates what format to use", "PROXY TCP4 2001:db8::7 2001:db8:1::1 4711 443\r\n", bad},
		{"the family dictates what format to use", "PROXY TCP6 198.51.100.7 192.0.2.1 4711 443\r\n", bad},
		{"exactly 128 bits", "PROXY TCP6 2001:db8:7 2001:db8:1::1 4711 443\r\n", bad},
		{"no zone", "PROXY TCP6 fe80::1%eth0 2001:db8:1::1 4711 443\r\n", bad},
		{"not a single LF", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\n\r\n", bad},
		{"not a single CR", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\r\n", bad},
		{"the protocol is upper case", "proxy TCP4 198.51.100.7 192.0.2.1 4711 443\r\n", bad},

		{"TCP over IPv4", v2(1, 0x11, block4), four},
		{"TCP over IPv6", v2(1, 0x21, block6), six},
		{"LOCAL: the real endpoints", v2(0, 0, ""), nobody},
		{"LOCAL: the family is ignored", v2(0, 0xFF, "abc"), nobody},
		{"LOCAL: zero must not be assumed", v2(0, 0x11, block4), nobody},
		{"unexpected commands", v2(2, 0x11, block4), bad},
		{"only version 2", strings.Replace(v2(1, 0x11, block4), "\x21", "\x11", 1), bad},
		{"other families", v2(1, 0x41, block4), bad},
		{"other transports", v2(1, 0x13, block4), bad},
		{"UNSPEC: accepted with the real endpoints", v2(1, 0, "abc"), nobody},
		{"UNSPEC family", v2(1, 0x01, ""), nobody},
		{"UNSPEC transport", v2(1, 0x10, block4), nobody},
		{"falls back to UNSPEC: UDP", v2(1, 0x12, block4), nobody},
		{"falls back to UNSPEC: UNIX", v2(1, 0x31, strings.Repeat("x", 216)), nobody},
		{"room for the addresses", v2(1, 0x11, block4[:11]), bad},
		{"room for the addresses", v2(1, 0x21, block4), bad},
		{"TLVs", v2(1, 0x11, block4+"\xe0\x00\x02ab\x04\x00\x00"), four},
		{"TLVs are cut off", v2(1, 0x11, block4+"\xe0\x00\x03ab"), bad},
		{"TLVs are cut off", v2(1, 0x11, block4+"\xe0\x00"), bad},
		{"CRC32C", summed(v2(1, 0x11, block4+"\x03\x00\x04\x00\x00\x00\x00\xe0\x00\x01a"), 16+12+3), four},
		{"CRC32C is wrong", v2(1, 0x11, block4+"\x03\x00\x04\x00\x00\x00\x00"), bad},
		{"CRC32C is a 32-bit number", v2(1, 0x11, block4+"\x03\x00\x03\x00\x00\x00"), bad},
		{"not covered by the specification", "GET / HTTP/1.1\r\n", bad},
	} {
		h, need, err := header.ParseStream([]byte(c.header + "payload"))
		got := nobody
		switch {
		case err != nil:
			got = bad
		case h.Named():
			got = h.Client.String() + " " + h.Dst.String()
		}
		if got != c.want || err == nil && (h.Size != len(c.header) || need != h.Size) || err != nil && !errors.Is(err, header.ErrInbound) {
			t.Errorf("%s: %q: got %q, %d bytes of %d, %v; want %q", c.says, c.header, got, h.Size, len(c.header), err, c.want)
		}
		for n := range len(c.header) { // a part of it is not more than a part
			h, need, err := header.ParseStream([]byte(c.header[:n]))
			if err == nil && need <= n && h.Size <= n || err != nil && c.want != bad {
				t.Errorf("%s: the first %d bytes of %q: %+v, need %d, %v", c.says, n, c.header, h, need, err)
			}
		}
	}
}

// summed puts the right CRC32C at a position.
func summed(h string, at int) string {
	b := []byte(h)
	binary.BigEndian.PutUint32(b[at:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return string(b)
}

// TestParseMapped: an IPv4-mapped address is the IPv4 address, before any rule sees it.
func TestParseMapped(t *testing.T) {
	mapped := strings.Repeat("\x00", 10) + "\xff\xff"
	for _, h := range []string{
		v2(1, 0x21, mapped+block4[:4]+mapped+block4[4:8]+block4[8:]),
		"PROXY TCP6 ::ffff:198.51.100.7 ::ffff:c000:0201 4711 443\r\n",
	} {
		got, _, err := header.ParseStream([]byte(h))
		if err != nil || got.Client != netip.MustParseAddrPort("198.51.100.7:4711") || got.Dst != netip.MustParseAddrPort("192.0.2.1:443") {
			t.Errorf("%q: %+v, %v", h, got, err)
		}
	}
}

func TestParseDatagram(t *testing.T) {
	for h, want := range map[string]bool{
		v2(1, 0x12, block4): true,
		v2(1, 0x11, block4): false, // falls back to UNSPEC
		v2(0, 0x12, block4): false,
	} {
		if got, err := header.ParseDatagram([]byte(h + "payload")); err != nil || got.Named() != want || got.Size != len(h) {
			t.Errorf("%q: %+v, %v", h, got, err)
		}
	}
	for _, h := range []string{"", "payload", signature, v2(1, 0x12, block4)[:27], v2(3, 0x12, block4), v2(0, 0, "abc")[:17], "PROXY UNKNOWN\r\n"} {
		if got, err := header.ParseDatagram([]byte(h)); !errors.Is(err, header.ErrInbound) {
			t.Errorf("%q: %+v, %v", h, got, err)
		}
	}
}
