package header_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/config"
	"anyport/proxy/header"
)

var (
	client = netip.MustParseAddrPort("198.51.100.7:4711")
	dst    = netip.MustParseAddrPort("192.0.2.1:443")
)

// tlv is one as it stands in a header.
func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

// TestOutgoingTLVs: go-proxyproto reads the TLVs that a route has, of the file and of an inbound header.
func TestOutgoingTLVs(t *testing.T) {
	const inbound = "\x02\x00\x03a.b" + "\x03\x00\x04sum!" + "\x04\x00\x01x" + "\x05\x00\x02id" + "\x20\x00\x01s" + "\xe1\x00\x01p" + "\xe2\x00\x01q"
	for list, want := range map[string][]string{
		`"authority"`:                  {"02 a.b"},
		`"unique-id"`:                  {"05 id"},
		`"0xE1=edge", "0xE1=again"`:    {"e1 edge", "e1 again"},
		`"pass"`:                       {"02 a.b", "05 id", "20 s", "e1 p", "e2 q"},
		`"0xE2", "0x20-0x2F"`:          {"e2 q", "20 s"},
		`"pass", "0xE1=own"`:           {"02 a.b", "05 id", "20 s", "e2 q", "e1 own"},
		`"unique-id", "pass"`:          {"05 id", "02 a.b", "20 s", "e1 p", "e2 q"},
		`"0x03", "0x04"`:               nil,
		`"0xE0=", "authority", "pass"`: {"e0 ", "02 a.b", "05 id", "20 s", "e1 p", "e2 q"},
	} {
		for _, sum := range []bool{false, true} {
			r := parsed(t, list, sum)
			h, err := header.StreamOf(r, client, dst, []byte(inbound))
			if err != nil {
				t.Fatal(err)
			}
			got := tlvsOf(t, h)
			if sum {
				last := got[len(got)-1]
				got = got[:len(got)-1]
				checkSum(t, h, last)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", list, got, want)
			}
			if in, need, err := header.ParseStream(h); err != nil || need != len(h) || in.Client != client {
				t.Errorf("%s: what we read of our own header: %+v, %v", list, in, err)
			}
		}
	}
}

// parsed is a route with TLVs as a file has them.
func parsed(t *testing.T, list string, sum bool) *config.Route {
	t.Helper()
	if sum {
		list = `"crc32c", ` + list
	}
	cfg, err := config.Parse("test.toml", []byte(`[route.a]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.1"]
origins = ["10.0.0.5"]
proxy_protocol = "v2"
accept_proxy = ["10.0.0.0/8"]
proxy_tlvs = [`+list+`]`))
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Routes[0]
}

// tlvsOf are the TLVs as go-proxyproto reads them.
func tlvsOf(t *testing.T, h []byte) (all []string) {
	t.Helper()
	read, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(h), 1<<17))
	if err != nil {
		t.Fatalf("%q: %v", h, err)
	}
	tlvs, err := read.TLVs()
	if err != nil {
		t.Fatalf("%q: %v", h, err)
	}
	for _, v := range tlvs {
		all = append(all, fmt.Sprintf("%02x %s", byte(v.Type), v.Value))
	}
	return all
}

// checkSum computes the checksum as section 2.2.3 says.
func checkSum(t *testing.T, h []byte, last string) {
	t.Helper()
	zeroed := slices.Clone(h)
	copy(zeroed[len(h)-4:], "\x00\x00\x00\x00")
	want := binary.BigEndian.AppendUint32(nil, crc32.Checksum(zeroed, crc32.MakeTable(crc32.Castagnoli)))
	if last != "03 "+string(want) {
		t.Errorf("%x, want a CRC32C of %x", last, want)
	}
}

// TestUniqueID: without an inbound one, each conn has its own.
func TestUniqueID(t *testing.T) {
	r, seen := parsed(t, `"unique-id"`, false), map[string]bool{}
	for _, inbound := range []string{"", "", tlv(5, ""), tlv(5, strings.Repeat("x", 129))} {
		h, err := header.StreamOf(r, client, dst, []byte(inbound))
		if err != nil {
			t.Fatal(err)
		}
		id := tlvsOf(t, h)[0]
		if len(id) != len("05 ")+16 || seen[id] {
			t.Errorf("an id of %d bytes, seen before: %v", len(id)-3, seen[id])
		}
		seen[id] = true
	}
}

// TestLongestHeader: what is passed on makes no header longer than 65,535 bytes.
func TestLongestHeader(t *testing.T) {
	r := parsed(t, `"pass"`, false)
	const room = 65535 - 16 - 12
	for n, fits := range map[int]bool{room - 3: true, room - 2: false} {
		h, err := header.StreamOf(r, client, dst, []byte(tlv(0xE5, strings.Repeat("x", n))))
		if (err == nil) != fits || err == nil && len(h) != 65535 {
			t.Errorf("%d bytes passed on: a header of %d, %v", n, len(h), err)
		}
	}
}

// TestDatagramTLVs: the same for datagrams.
func TestDatagramTLVs(t *testing.T) {
	h, err := header.DatagramOf(parsed(t, `"0xEF=x"`, false), client, dst, nil)
	if want := signatureHex + "2112" + "0010" + "c6336407c0000201126701bb" + "ef000178"; err != nil || hex.EncodeToString(h) != want {
		t.Errorf("%x, %v; want %s", h, err, want)
	}
}

const signatureHex = "0d0a0d0a000d0a515549540a"

// TestUniqueIDStays: a second header of a flow, as for another origin, has the id of the first.
func TestUniqueIDStays(t *testing.T) {
	r := parsed(t, `"unique-id", "pass"`, true)
	for _, inbound := range []string{"", tlv(0x20, "s"), tlv(0x05, "given"), tlv(0x05, strings.Repeat("x", 129))} {
		first, err := header.DatagramOf(r, client, dst, []byte(inbound))
		if err != nil {
			t.Fatal(err)
		}
		id := header.UniqueIDOf(first)
		second, err := header.DatagramOf(r, client, dst, header.WithUniqueID([]byte(inbound), id))
		if got := header.UniqueIDOf(second); err != nil || len(id) == 0 || !bytes.Equal(got, id) {
			t.Errorf("%q: first %x, then %x, %v", inbound, id, got, err)
		}
		if n := len(tlvsOf(t, second)); n != len(tlvsOf(t, first)) {
			t.Errorf("%q: %d TLVs the second time", inbound, n)
		}
	}
	if id := header.UniqueIDOf([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")); id != nil {
		t.Errorf("v1 has the id %x", id)
	}
}
